"""Tables of what there is, and how it comes to this machine."""

from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

import transferkit as tk
from transferkit.backbone.catalogue import lookup
from transferkit.cli import cli


def test_a_fetched_data_set_is_where_the_table_says():
    assert tk.datasets().set_index("name").loc["digits", "folder"] == ""
    folder = tk.fetch_dataset("digits")
    assert len(list(folder.rglob("*.png"))) == 1797
    found = tk.datasets().set_index("name")
    assert found.loc["digits", "folder"] == str(folder)
    told = CliRunner().invoke(cli, ["datasets"]).stdout.splitlines()
    row = next(line for line in told if line.startswith("hymenoptera")).split()
    assert f"{found.loc['hymenoptera', 'bytes'] / 1e6:.0f}" in row
    assert f"{found.loc['hymenoptera', 'top1']:.3f}" in row and found.loc["digits", "bytes"] == 0


def test_weights_are_found_in_the_folder_given_or_told_to_be_missing(tmp_path: Path):
    assert tk.find_weights("vgg16", weights_dir=str(tmp_path)) is None
    file = tmp_path / lookup("vgg16").weights.name
    file.write_bytes(b"x")
    assert tk.find_weights("vgg16", weights_dir=str(tmp_path)) == file
    with pytest.raises(tk.UsageError, match="Did you mean 'vgg19' or 'vgg16'"):
        tk.find_weights("vgg61")


def test_weights_are_verified_in_a_table(tmp_path: Path):
    assert list(tk.verify_weights(weights_dir=tmp_path).columns) == [
        "path",
        "verdict",
        "expected",
        "received",
    ]
    (tmp_path / lookup("vgg16").weights.name).write_bytes(b"x")
    found = tk.verify_weights("vgg16", weights_dir=tmp_path)
    assert list(found["verdict"]) == ["differs"] and found["expected"][0] == lookup("vgg16").weights.md5
    # MobileNets have no published checksum; beside one that has, pandas calls that NaN.
    (tmp_path / lookup("mobilenet_0.25").weights.name).write_bytes(b"x")
    assert set(tk.verify_weights(weights_dir=tmp_path)["verdict"]) == {"differs", "no checksum"}
    told = CliRunner().invoke(cli, ["weights", "verify", "--weights-dir", str(tmp_path)]).stdout
    assert told.count("not checked (Keras publishes no checksum): ") == 1 and told.count("differs: ") == 1
    assert tk.verify_weights([], weights_dir=tmp_path).empty
    for asked in (tk.verify_weights, partial(tk.find_weights, "vgg16")):
        with pytest.raises(tk.WeightsError, match="no such folder"):
            asked(weights_dir=tmp_path / "no")
