"""Tables from CSV and Parquet files, their values as text, nothing guessed about them."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from transferkit.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = ",;\t"
BETWEEN_VALUES = "|"

_HEAD_BYTES = 8192
_PARQUET_START = b"PAR1"


def tidy(name: object) -> str:
    """The name of a column as it is compared: small letters, no blanks around it."""
    return str(name).strip().lower()


def read_table(source: Path) -> "pd.DataFrame":
    """The rows of a CSV (comma, semicolon or tab; UTF-8) or Parquet file, told apart by content.

    From a CSV every value is text as it stands there: 007, NA and 1.0 stay so. Names of columns may
    repeat.

    Raises:
        UsageError: no such file, or pyarrow is missing.
        DataError: no text, no table, empty, or rows longer than the header.
    """
    if not source.is_file():
        raise UsageError(f"no such file: {source}. Wanted is a CSV or Parquet file.")
    try:
        with source.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
            if head.startswith(_PARQUET_START):
                stream.seek(0)
                return _parquet(stream, source)
        _check_is_text(head, source)
        return _csv(source)
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror or error}.") from error
    except csv.Error as error:
        raise DataError(f"{source}: not a table: {error}.") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}: not UTF-8 text (byte 0x{error.object[error.start]:02x}). Save it as 'CSV UTF-8'."
        ) from error


def csv_header(source: Path) -> list[str]:
    """The column names of a CSV file, tidy; none if it is no CSV that can be read."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as stream:
            return [tidy(name) for name in _header(stream)[0]]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def has_column(source: "Path | pd.DataFrame", name: str) -> bool:
    """Whether a table has a column of that name, blanks around it and case aside."""
    if not isinstance(source, Path):
        columns = [tidy(column) for column in source.columns]
    elif source.suffix.lower() in (".csv", ".tsv"):
        columns = csv_header(source)
    else:
        columns = [tidy(column) for column in read_table(source).columns]
    return tidy(name) in columns


def texts(column: "pd.Series[Any]") -> list[str]:
    """The values of a column as text, "" where there is none.

    Whole numbers lose their point if all numbers of the column are whole: pandas makes 3 a 3.0 as soon
    as a value is missing. A list becomes its values joined by a vertical bar.
    """
    values = column.tolist()
    numbers = [value for value in values if isinstance(value, float) and value == value]
    if numbers and all(value.is_integer() for value in numbers):
        values = [int(v) if isinstance(v, float) and v == v else v for v in values]
    return [value if isinstance(value, str) else _text(value) for value in values]


def holds_lists(column: "pd.Series[Any]") -> bool:
    """Whether a column holds lists of values."""
    return any(_is_list(value) for value in column.tolist())


def _text(value: Any) -> str:
    import pandas as pd

    if isinstance(value, str):
        return value
    if _is_list(value):
        return BETWEEN_VALUES.join(_text(one) for one in value)
    return "" if pd.isna(value) else str(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


def _check_is_text(head: bytes, source: Path) -> None:
    if not head.strip():
        raise DataError(f"{source}: the file is empty.")
    if b"\0" in head:
        start = head[:4].decode("latin-1")
        raise DataError(
            f"{source}: neither CSV nor Parquet: it is no text (it starts with {start!r}). A table of the "
            "columns path and label is needed; Excel saves one as 'CSV UTF-8'."
        )


def _parquet(stream: IO[bytes], source: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        # These types keep whole numbers whole where values are missing.
        return pd.read_parquet(stream, engine="pyarrow", dtype_backend="numpy_nullable")
    except ImportError as error:
        raise UsageError(f"{source}: reading Parquet needs pyarrow: pip install pyarrow") from error
    except Exception as error:  # pyarrow raises many kinds for files that are damaged
        raise DataError(f"{source}: damaged Parquet file: {error}") from error


def _csv(source: Path) -> "pd.DataFrame":
    import pandas as pd

    with source.open(encoding="utf-8-sig", newline="") as stream:
        header, delimiter, lines = _header(stream)
        names = range(len(header))
        try:
            rows = pd.read_csv(
                stream, sep=delimiter, header=None, names=names, dtype=str, keep_default_na=False
            )
        except pd.errors.EmptyDataError:
            rows = pd.DataFrame(columns=list(names))
        except pd.errors.ParserError as error:
            # pandas counts from behind the header.
            told = re.sub(r"\b(line|row) (\d+)", lambda m: f"{m[1]} {int(m[2]) + lines}", str(error))
            raise DataError(f"{source}: not a table: {told.strip()}") from error
    if not isinstance(rows.index, pd.RangeIndex):
        raise DataError(
            f"{source}: rows have more values than the header has names ({len(header)}: "
            f"{', '.join(header)}). Put values that hold {delimiter!r} in double quotes."
        )
    return rows.set_axis(header, axis="columns")


def _header(stream: IO[str]) -> tuple[list[str], str, int]:
    """The names, the delimiter, and how many lines they took; blank lines above are passed over."""
    line, lines = "\n", 0
    while line and not line.strip():
        line, lines = stream.readline(), lines + 1
    readings = [(next(csv.reader([line], delimiter=mark), []), mark) for mark in DELIMITERS]
    names, delimiter = max(readings, key=lambda reading: len(reading[0]))
    return names, delimiter, lines
