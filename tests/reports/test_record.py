import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from tests.toy_report import make_full_report, make_multilabel_report, make_report
from transferkit.errors import DataError
from transferkit.reports import record

MAKERS = [make_report, make_full_report, make_multilabel_report]


@pytest.mark.parametrize("make", MAKERS)
def test_a_report_is_read_as_it_was_written(make, tmp_path: Path):
    report = make()
    record.write(report, tmp_path)
    again = record.read(tmp_path)
    assert record.as_json(again) == record.as_json(report)
    for split, scores in report.splits.items():
        assert again.splits[split] == scores
        if not report.multilabel:
            assert np.array_equal(again.single_label(split).confusion, report.single_label(split).confusion)


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_written_keeps_to_the_schema_that_is_shipped(make):
    shipped = json.loads(record.SCHEMA_FILE.read_text(encoding="utf-8"))
    assert shipped == record.schema(), "run: python -m transferkit.reports.record"
    content = record.as_json(make())
    jsonschema.validate(content, shipped, jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content | {"title": 3}, shipped)


def test_numbers_that_are_not_finite_are_null(tmp_path: Path):
    report = make_report(
        history=({"phase": "head", "epoch": 1, "loss": float("nan"), "top1": np.float32(0.5)},)
    )
    record.write(report, tmp_path)
    row = json.loads((tmp_path / "report.json").read_text())["history"][0]
    assert (row["loss"], row["top1"]) == (None, 0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "has no report.json: no run, or one of an earlier version"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"schema": 99}', "^[^:]*report.json has schema 99, and this version of transferkit reads 2"),
        ('{"schema": 2, "title": "x"}', "is damaged"),
    ],
)
def test_what_cannot_be_read_is_told(text: str | None, told: str, tmp_path: Path):
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(DataError, match=told):
        record.read(tmp_path)


def test_both_pages_are_made_again_from_the_numbers_alone(tmp_path: Path):
    from transferkit.reports import pages

    report = make_full_report(tmp_path)
    record.write(report, tmp_path)
    pages.write(record.read(tmp_path), tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    pages.write(replace(record.read(tmp_path)), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first
    assert {"report.html", "report.md", "confusion.svg", "reliability.svg"} <= set(first)
