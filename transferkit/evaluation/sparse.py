"""Matrices that are mostly zeros, in files."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Counts: TypeAlias = npt.NDArray[np.integer[Any]]


class SparseMatrix:
    """How a matrix of counts is written down: its size, and a list of [row, column, count].

    The square of a thousand classes would dwarf everything else in the file. Read by pydantic, see
    `reports.record`.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema as schema

        whole = schema.int_schema(ge=0)
        cell = schema.tuple_schema([whole] * 3)
        fields = {"size": whole, "cells": schema.list_schema(cell)}
        written = schema.typed_dict_schema(
            {name: schema.typed_dict_field(kind) for name, kind in fields.items()}
        )
        return schema.no_info_after_validator_function(
            self.dense,
            written,
            serialization=schema.plain_serializer_function_ser_schema(self.sparse, return_schema=written),
        )

    @staticmethod
    def sparse(matrix: Counts) -> dict[str, Any]:
        """What is written."""
        rows, columns = np.nonzero(matrix)
        counts = matrix[rows, columns]
        cells = zip(rows.tolist(), columns.tolist(), counts.tolist(), strict=True)
        return {"size": len(matrix), "cells": list(cells)}

    @staticmethod
    def dense(written: Mapping[str, Any]) -> Counts:
        """The matrix (C, C) of what was written."""
        matrix = np.zeros((written["size"],) * 2, np.int64)
        for row, column, count in written["cells"]:
            matrix[row, column] = count
        return matrix
