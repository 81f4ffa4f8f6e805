import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.api.test_finetune import recipe
from tests.api.test_telling import call
from tests.conftest import draw_classes
from transferkit.api import finetune
from transferkit.api.explaining import explain
from transferkit.api.reference import last_cut, read_reference
from transferkit.api.rereporting import report
from transferkit.data.decode import DecodePolicy, decode
from transferkit.evaluation.unknown import strangeness
from transferkit.reports import record
from transferkit.runs import Run
from transferkit.training.described import describer

pytestmark = [pytest.mark.told, pytest.mark.usefixtures("toy")]


@pytest.fixture
def run(photos: Path, tmp_path: Path) -> Run:
    return finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")


def test_unknown_images_are_told_apart_by_their_distance(run: Run, photos: Path, tmp_path: Path):
    noise = tmp_path / "noise" / "x"
    noise.mkdir(parents=True)
    from PIL import Image

    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(noise / f"{number}.png")
    other = draw_classes(tmp_path / "other", 10, seed=900)
    # A folder of images without classes, and images that this run has not seen.
    result = call("evaluate", run.folder, other, "--unknown", noise, "--json")
    found = json.loads(result.stdout)["unknown"]
    assert (found["known"], found["unknown"]) == (30, 12) and found["auroc"] > 0.8
    # An image's strangeness stands beside the bound of the report.
    bound = record.read(run.folder).strangeness.threshold
    (known,) = explain(run, photos / "red" / "000.png").images
    assert known.usual == bound and f"(up to {bound:.3f} is usual" in known.strangeness
    assert replace(known, strange=0.4, usual=0.5).strangeness == "0.400 (up to 0.500 is usual)"
    told = replace(known, strange=0.6, usual=0.5).strangeness
    assert told == "0.600 (up to 0.500 is usual: it may be of none of the classes)"
    assert replace(known, strange=0.6, usual=None).strangeness == "0.600"
    # Of those that it was made of only the test part counts.
    part = call("evaluate", run.folder, photos, "--unknown", noise, "--json")
    assert json.loads(part.stdout)["unknown"]["known"] == run.metrics["splits"]["test"]["n"] < 60
    seen = tmp_path / "seen"
    frame = pd.read_csv(run.folder / "splits.csv")
    for path in frame.loc[frame["split"] == "train", "path"]:
        (seen / path).parent.mkdir(parents=True, exist_ok=True)
        (seen / path).write_bytes((photos / path).read_bytes())
    refused = call("evaluate", run.folder, seen, "--unknown", noise)
    assert refused.exit_code == 1 and "took part in the training" in refused.stderr
    gone = call("evaluate", run.folder, other, "--unknown", tmp_path / "nowhere")
    assert gone.exit_code == 2, gone.output


def test_unknown_images_that_cannot_be_judged_are_left_out_and_named(run: Run, photos: Path, tmp_path: Path):
    other, strange = draw_classes(tmp_path / "other", 5, seed=900), tmp_path / "strange"
    strange.mkdir()
    frame = pd.read_csv(run.folder / "splits.csv")
    known = frame.loc[frame["split"] == "train", "path"].iloc[0]
    (strange / "known.png").write_bytes((photos / known).read_bytes())
    (strange / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    told = call("evaluate", run.folder, other, "--unknown", strange, "--json")
    assert told.exit_code == 1 and "not one of 2 files could be taken" in told.stderr
    new = next((other / "red").iterdir())
    (strange / "new.png").write_bytes(new.read_bytes())
    found = json.loads(call("evaluate", run.folder, other, "--unknown", strange, "--json").stdout)
    assert found["unknown"]["unknown"] == 1 and found["seen"] == 0
    reasons = {Path(path).name: reason for path, reason in found["failed"].items()}
    assert set(reasons) == {"known.png", "broken.jpg"} and "took part in the training" in reasons["known.png"]
    for number in range(20):
        (strange / f"broken{number}.jpg").write_bytes(b"no image")
    told = call("evaluate", run.folder, other, "--unknown", strange)
    assert told.stderr.count("\nleft out: ") == 10 and "and 12 more; --json has all of them" in told.stderr
    assert "WARNING: 1 of 23 unknown images took part in this run's training" in told.stderr
    listed = tmp_path / "strange.csv"
    listed.write_text(f"path,label\n{strange / 'new.png'},x\n{strange / 'missing.png'},x\n")
    found = json.loads(call("evaluate", run.folder, other, "--unknown", listed, "--json").stdout)
    assert found["unknown"]["unknown"] == 1
    assert [Path(path).name for path in found["failed"]] == ["missing.png"]
    (run.folder / "content.csv").unlink()
    refused = call("evaluate", run.folder, other, "--unknown", strange)
    assert refused.exit_code == 1 and "has no content.csv" in refused.stderr
    unsure = call("evaluate", run.folder, other, "--json")
    assert json.loads(unsure.stdout)["seen"] is None and "was not checked" in unsure.stderr


@pytest.mark.parametrize("strategy", ["linear", "full"])
def test_the_report_tells_how_strange_the_saved_model_finds_test(strategy: str, photos: Path, tmp_path: Path):
    import keras

    rate = {"learning_rate": 3e-2} if strategy == "full" else {}
    run = finetune(photos, recipe(strategy=strategy, batch_size=4, epochs=6, **rate), out=tmp_path / "run")
    assert (run.metrics["kept"] == "fine-tuned") == (strategy == "full")
    model = describer(keras.models.load_model(run.folder / "model.keras"), last_cut(run)[0])
    reference, splits = read_reference(run).features, pd.read_csv(run.folder / "splits.csv")
    scores = {}
    for split in ("val", "test"):
        paths = splits.loc[splits["split"] == split, "path"]
        images = np.stack([decode(photos / path, DecodePolicy(size_px=32)) for path in paths])
        means = model.predict_on_batch(images)[:, : reference.shape[1]]
        scores[split] = dict(zip(paths, strangeness(means, reference), strict=True))
    found = record.read(run.folder).strangeness
    assert found is not None and (found.split, found.images) == ("test", len(scores["test"]))
    val = np.sort(list(scores["val"].values()))
    assert found.threshold == pytest.approx(np.quantile(val, 0.95, method="higher"), abs=2e-3)
    assert found.passing == pytest.approx(np.mean(np.array(list(scores["test"].values())) <= found.threshold))
    path, score = found.strangest[0]
    assert score == pytest.approx(max(scores["test"].values()), abs=2e-3)
    assert scores["test"][path] == pytest.approx(score, abs=2e-3)
    assert f"({score:.3f})" in (run.folder / "report.html").read_text()


def test_without_a_test_part_val_is_told_of_and_not_beside_itself(photos: Path, tmp_path: Path):
    run = finetune(photos, recipe(strategy="linear", test_fraction=0.0), out=tmp_path / "run")
    found = record.read(run.folder).strangeness
    assert found is not None and (found.split, found.images) == ("val", found.val_images)
    page = (run.folder / "report.md").read_text()
    assert (
        f"of {found.val_images} images of val. One that is stranger" in page and "strangest of val:" in page
    )


def test_a_report_of_before_there_was_strangeness_is_drawn_without(run: Run):
    file = run.folder / record.FILE
    numbers = json.loads(file.read_text())
    del numbers["strangeness"]
    file.write_text(json.dumps(numbers))
    report(run.folder)
    assert "strang" not in (run.folder / "report.html").read_text()
    assert "strang" not in (run.folder / "report.md").read_text()
