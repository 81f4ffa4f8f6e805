"""What a run keeps beside it to be gone on with: what was asked, of which images, by what plan."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from transferkit.api.inputs import Data
from transferkit.api.work import Work
from transferkit.data.index import BETWEEN_NAMES
from transferkit.data.table import holds_lists, texts, tidy
from transferkit.errors import DataError, UsageError
from transferkit.planning import Plan
from transferkit.planning.reading import read_plan
from transferkit.progress import say
from transferkit.recipe import Recipe
from transferkit.runs import SOURCE, Writing, write_csv
from transferkit.runs.unfinished import write_json_whole
from transferkit.training.state import StateFolder, write_whole

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["path", "sha256", "label", "split"]


@dataclass(frozen=True)
class Asked:
    """What a run was asked for.

    Attributes:
        data: as `finetune` takes it.
        recipe: with files by their full paths.
        name: of the data, in the report.
    """

    data: Data
    recipe: Recipe
    name: str


def keep_asked(writing: Writing, asked: Asked) -> None:
    """Write down what a run is asked for, before it takes time."""
    recipe = asked.recipe.with_absolute_paths().to_yaml()
    write_whole(writing.place / "recipe.yaml", lambda stream: stream.write(recipe.encode("utf-8")))
    told: dict[str, Any] = {"name": asked.name, "overwrite": writing.overwrite}
    if isinstance(asked.data, (str, Path)):
        there = Path(asked.data).exists()
        told["data"] = str(Path(asked.data).absolute()) if there else str(asked.data)
    else:
        told |= {"folder": str(Path.cwd()), "lists": _keep_table(writing.place / "table.csv", asked)}
    write_json_whole(writing.place / SOURCE, told)


def _keep_table(file: Path, asked: Asked) -> bool:
    """Write the columns of a table that count, as text; whether its labels are lists."""
    import pandas as pd

    table: Any = asked.data
    if any(level is not None for level in table.index.names):
        table = table.reset_index(allow_duplicates=True)
    wanted = {"path", "label", "split", "group", tidy(asked.recipe.group_by or "")}
    places = [place for place, name in enumerate(table.columns) if tidy(name) in wanted]
    kept = pd.DataFrame({str(table.columns[place]): texts(table.iloc[:, place]) for place in places})
    write_csv(file, kept)
    return any(tidy(table.columns[p]) == "label" and holds_lists(table.iloc[:, p]) for p in places)


def read_asked(place: Path) -> Asked:
    """What a run was asked for.

    Raises:
        DataError: its files cannot be read.
        UsageError: its table has to be read from another working folder.
    """
    try:
        told = json.loads((place / SOURCE).read_text(encoding="utf-8"))
        values = yaml.safe_load((place / "recipe.yaml").read_text(encoding="utf-8"))
        recipe = Recipe.from_mapping(values, str(place / "recipe.yaml"))
        data = told["data"] if "data" in told else _table(place, told)
        return Asked(data, recipe, told["name"])
    except (OSError, ValueError, KeyError, yaml.YAMLError) as error:
        if isinstance(error, UsageError):
            raise
        raise DataError(f"{place} cannot be gone on with: {error}. Start anew with --overwrite.") from error


def _table(place: Path, told: dict[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    if Path.cwd() != Path(told["folder"]):
        raise UsageError(
            f"the run was started on a table whose paths are relative to {told['folder']}. Go there first: "
            f"cd {told['folder']}"
        )
    table = pd.read_csv(place / "table.csv", dtype=str, keep_default_na=False)
    if told["lists"]:
        label = next(name for name in table.columns if tidy(name) == "label")
        table[label] = [text.split(BETWEEN_NAMES) if text else "" for text in table[label]]
    return table


def known_plan(place: Path) -> Plan | None:
    """The plan in force; None where the run was stopped before there was one.

    Raises:
        DataError: it cannot be read.
    """
    file = place / "plan.json"
    if not file.is_file():
        return None
    try:
        return read_plan(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file} cannot be gone on with: {error}. Was transferkit updated meanwhile? Start anew with "
            "--overwrite."
        ) from error


def begin(writing: Writing, work: Work) -> StateFolder:
    """Write down plan, images and weights before anything trains, or check them where a run goes on.

    Raises:
        DataError: images or weights are not those that the run was begun with; names them.
    """
    place = writing.place
    files = work.index.files[_COLUMNS]
    if not (place / "plan.json").is_file():
        write_csv(place / "content.csv", files)
        write_json_whole(place / "begun.json", _begun(work))
        # Comes last: what has a plan has the rest.
        write_json_whole(place / "plan.json", work.plan.as_dict())
    else:
        _check_images(place, files, work)
        _check_begun(place, work)
    parts = [(place / name).read_bytes() for name in ("recipe.yaml", "plan.json")]
    return StateFolder(place, hashlib.sha256(b"\0".join(parts)).hexdigest())


def _begun(work: Work) -> dict[str, str]:
    extractor = work.extractor
    return {
        "weights": extractor.fingerprint,
        "computed by": extractor.computed_by,
        "precision": extractor.precision,
        # Of the pixels, which another version of this package or of Keras may make others of.
        "augmentation": f"augmentation {work.pipeline.digest}" if work.pipeline else "no augmentation",
    }


def _check_begun(place: Path, work: Work) -> None:
    then, now = json.loads((place / "begun.json").read_text(encoding="utf-8")), _begun(work)
    if then["weights"] != now["weights"]:
        raise DataError(
            f"{place}: the pretrained weights are not those that the run was begun with. Put that file back, "
            "or start anew with --overwrite."
        )
    for key in ("computed by", "precision", "augmentation"):
        before = then.get(key, f"{key} of an earlier version" if work.pipeline else now[key])
        if before != now[key]:
            say(
                f"WARNING: begun with {before}, going on with {now[key]}: the result is not to the bit "
                "that of a run that was never stopped"
            )


def _check_images(place: Path, files: "pd.DataFrame", work: Work) -> None:
    import pandas as pd

    then = pd.read_csv(place / "content.csv", dtype=str, keep_default_na=False)
    both = then.merge(files, on="path", how="outer", suffixes=("_then", "_now"), indicator=True)
    known = both[both["_merge"] == "both"]
    changes = {
        "gone": both[both["_merge"] == "left_only"],
        "new": both[both["_merge"] == "right_only"],
        "with other content": known[known["sha256_then"] != known["sha256_now"]],
        "with another label": known[known["label_then"] != known["label_now"]],
        "in another split": known[known["split_then"] != known["split_now"]],
    }
    told = [
        f"{len(rows)} {what}, such as {rows['path'].iloc[0]}" for what, rows in changes.items() if len(rows)
    ]
    if told:
        raise DataError(
            f"{work.index.root}: the images are not those that the run was begun with: {'; '.join(told)}. "
            "Put them back as they were, or start anew with --overwrite."
        )
