"""The numbers of a report as JSON: written once, read by every page, checked against a schema.

`report.json` holds the fields of `evaluation.report.Report` and `schema`, a number that grows when the
meaning of a field changes. `report.schema.json` beside this file is the JSON Schema of it (draft 2020-12),
for other programs; a test keeps it equal to the dataclasses.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from transferkit.errors import DataError
from transferkit.evaluation.report import Report, plain

SCHEMA = 2
FILE = "report.json"
SCHEMA_FILE = Path(__file__).with_name("report.schema.json")


def write(report: Report, folder: Path) -> None:
    """Write `report.json` into a folder."""
    text = json.dumps(as_json(report), indent=1, ensure_ascii=False)
    # Half of a broken encoding in a file's name has no place in UTF-8.
    (folder / FILE).write_text(text + "\n", encoding="utf-8", errors="replace")


def as_json(report: Report) -> dict[str, Any]:
    """The content of `report.json`: plain values, null for what is not finite."""
    content = _adapter().dump_python(report)
    return {"schema": SCHEMA, **{key: plain(value) for key, value in content.items()}}


def read(folder: Path) -> Report:
    """The report of a run folder.

    Raises:
        DataError: there is none, or it is not whole, or of another version.
    """
    from pydantic import ValidationError

    file = folder / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content.pop("schema")
        if version != SCHEMA:
            raise DataError(
                f"{file} has schema {version}, and this version of transferkit reads {SCHEMA}. Train "
                "again, or "
                "use the version that wrote it (environment.json)."
            )
        report: Report = _adapter().validate_python(content)
        return report
    except DataError:
        raise
    except FileNotFoundError as error:
        told = f"{folder} has no {FILE}: no run, or one of an earlier version. Train again."
        raise DataError(told) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{file} is damaged: {first}. Train again.") from error


def schema() -> dict[str, Any]:
    """The JSON Schema of `report.json`, from the dataclasses."""
    found = _adapter().json_schema(mode="serialization")
    found["title"], found["$schema"] = "transferkit report", "https://json-schema.org/draft/2020-12/schema"
    found["properties"] = {"schema": {"const": SCHEMA}} | found["properties"]
    found["required"] = ["schema", *found["required"]]
    return dict(found)


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Report)


if __name__ == "__main__":
    SCHEMA_FILE.write_text(json.dumps(schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
