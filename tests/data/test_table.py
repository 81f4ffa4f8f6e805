from pathlib import Path

import pandas as pd
import pytest

from transferkit.data.table import has_column

TABLE = pd.DataFrame({"path": ["a"], " Patient(ID) ": ["1"]})


@pytest.mark.parametrize("form", ["frame", "csv", "tsv", "parquet"])
def test_a_column_is_found_in_every_kind_of_table(tmp_path: Path, form: str) -> None:
    source = tmp_path / f"t.{form}"
    if form == "parquet":
        TABLE.to_parquet(source)
    elif form != "frame":
        TABLE.to_csv(source, sep="\t" if form == "tsv" else ",", index=False)
    where = TABLE if form == "frame" else source
    assert [has_column(where, name) for name in ("patient(id)", "PATIENT(ID)", "patient")] == [
        True,
        True,
        False,
    ]
