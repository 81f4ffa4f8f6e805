"""A JSON Schema of recipes, for editors that complete and check YAML."""

import json
from pathlib import Path
from typing import Any

from transferkit.recipe.fields import KNOBS

SCHEMA_FILE = Path(__file__).with_name("recipe.schema.json")
_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}


def recipe_schema() -> dict[str, Any]:
    """The schema (draft 2020-12): every key with its meaning, what is allowed, and its default."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "transferkit recipe",
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _property(key) for key in KNOBS},
    }


def _property(key: str) -> dict[str, Any]:
    told, default = KNOBS[key].metadata, KNOBS[key].default
    found: dict[str, Any] = {"description": told["help"], "default": default}
    allowed: list[dict[str, Any]] = []
    if told["choices"]:
        allowed.append({"enum": list(told["choices"])})
    elif told["kind"] is list:
        allowed += [{"type": "string"}, {"type": "array"}, {"type": "object"}]
    else:
        own: dict[str, Any] = {"type": _TYPES[told["kind"]]}
        own |= {
            name: told[end]
            for name, end in (("minimum", "low"), ("maximum", "high"))
            if told[end] is not None
        }
        allowed.append(own)
    if told["words"]:
        allowed.append({"enum": list(told["words"])})
    if default is None:
        allowed.append({"type": "null"})
    return found | (allowed[0] if len(allowed) == 1 else {"anyOf": allowed})


if __name__ == "__main__":
    SCHEMA_FILE.write_text(json.dumps(recipe_schema(), indent=1) + "\n", encoding="utf-8")
