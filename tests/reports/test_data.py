from dataclasses import replace

from tests.toy_report import make_report
from transferkit.reports.data import data_section


def section(**changes):
    report = make_report(classes=2)
    return data_section(replace(report, data=replace(report.data, **changes)))


def test_splits_that_share_nothing_are_proven_by_counts():
    assert (
        "The splits share nothing, counted over all their images:\n\n"
        "| shared | train and val | train and test | val and test |\n| --- | ---: | ---: | ---: |\n"
        "| the same path | 0 | 0 | 0 |\n| the same bytes | 0 | 0 | 0 |\n"
    ) in section()


def test_one_shared_image_turns_the_proof_into_a_warning():
    page = section(intersections={"path": {"train & test": 0}, "near duplicates": {"train & test": 1}})
    assert "**WARNING: the splits are not apart.**" in page
    assert "| a picture and its near duplicate | 1 |" in page
    assert "share nothing" not in page


def test_what_was_not_counted_is_not_claimed():
    for nothing in ({}, {"path": {}, "content": {}}):
        page = section(intersections=nothing)
        assert "share nothing" not in page
        assert "shared" not in page


def test_findings_have_their_meaning_and_the_errors_come_first():
    assert (
        "| finding | level | meaning | what is done, or to do | files |\n"
        "| --- | --- | --- | --- | ---: |\n"
        "| leak | error | one picture or group, two splits "
        "| left out of train (of val, if test has it) | 1 |\n"
        "| dark | warning | nearly black | used; look at it | 2 |\n"
    ) in section(findings={"dark": 2, "leak": 1})
    assert "| finding |" not in section(findings={})


def test_a_class_without_images_in_a_split_counts_none():
    page = section(counts={"train": {"class 0": 3, "class 1": 1}, "val": {"class 0": 2}})
    assert "| **all** | **4** | **2** |\n| class 0 | 3 | 2 |\n| class 1 | 1 | 0 |\n" in page


def test_twenty_excluded_files_are_listed_and_the_rest_counted():
    page = section(excluded=tuple((f"{i}.jpg", "empty file") for i in range(23)))
    assert "| 19.jpg | empty file |" in page
    assert "| 20.jpg |" not in page
    assert "and 3 more: `excluded.csv`" in page
