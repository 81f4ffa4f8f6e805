"""TensorBoard: scalars while a run trains; figures, confusion picture and hyperparameters when it has ended.

Written by the package `tensorboard` (the extra of that name), without TensorFlow's own writer: what trains
may run on another backend. Names are those of Keras' callback, so that runs lie beside others in one page.
"""

import io
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transferkit.errors import missing_extra
from transferkit.evaluation.report import Report
from transferkit.reports import figures, tracked
from transferkit.reports.pages import MARKDOWN

FOLDER = "tensorboard"
TRAIN, VAL, WHOLE = "train", "validation", "."
CELL, LARGEST = 0.32, 24  # inches of the confusion picture: a class, and the whole at most


def check_board() -> None:
    """Whether there is what writes it.

    Raises:
        UsageError: no; says how to get it.
    """
    if find_spec("tensorboard") is None:
        raise missing_extra("--tensorboard", "tensorboard", "tensorboard")


class Board:
    """Events in a folder: `train` and `validation` for curves, the folder itself for the rest.

    Args:
        folder: of the run; the events lie in its `tensorboard`, from which older ones are removed.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder / FOLDER
        for old in self._root.rglob("events.out.tfevents.*"):
            old.unlink()
        self._writers: dict[str, Any] = {}
        self._phases: dict[str, int] = {}

    def follow(self, phase: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Tell of the epochs of a phase that were not told of yet.

        Args:
            phase: its name.
            rows: of its history, all so far.
        """
        others = sum(told for name, told in self._phases.items() if name != phase)
        for point in tracked.points(rows, self._phases.get(phase, 0)):
            curve, name = (VAL, point.name[4:]) if point.name.startswith("val_") else (TRAIN, point.name)
            self._scalar(curve, f"epoch_{name}", point.value, others + point.step)
        self._phases[phase] = len(tracked.epochs(rows))
        for writer in self._writers.values():
            writer.flush()

    def finish(self, report: Report, asked: Mapping[str, Any], name: str) -> None:
        """Tell of the figures, the confusion picture, the hyperparameters and the report, and close.

        Args:
            report: the run's.
            asked: its recipe.
            name: of the run.
        """
        from tensorboard.plugins.hparams import summary, summary_v2

        step = sum(self._phases.values())
        for tag, value in tracked.metrics(report).items():
            self._scalar(WHOLE, tag, value, step)
        for split in report.splits if not report.multilabel else ():
            self._image(f"confusion/{split}", _confusion(figures.confusion_figure(report, split)), step)
        page = self._root.parent / MARKDOWN
        self._text("report", page.read_text(encoding="utf-8"), step)
        given = tracked.parameters(report, tracked.distinctive(asked))
        columns = [summary_v2.HParam(key) for key in given]
        shown = [f"{split}/{which}{report.measure}" for split in report.splits for which in ("", "linear_")]
        judged = [summary_v2.Metric(tag) for tag in shown]
        self._summary(WHOLE, summary_v2.hparams_config_pb(columns, judged), step)
        self._summary(WHOLE, summary_v2.hparams_pb(given, trial_id=name), step)
        self._summary(WHOLE, summary.session_end_pb("STATUS_SUCCESS"), step)
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _scalar(self, curve: str, tag: str, value: float, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._summary(curve, Summary(value=[Summary.Value(tag=tag, simple_value=value)]), step)

    def _image(self, tag: str, png: bytes, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        image = Summary.Image(encoded_image_string=png)
        self._summary(WHOLE, Summary(value=[Summary.Value(tag=tag, image=image)]), step)

    def _text(self, tag: str, text: str, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.plugins.text.metadata import create_summary_metadata

        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode("utf-8", "replace")])
        told = create_summary_metadata(display_name=tag, description="")
        self._summary(WHOLE, Summary(value=[Summary.Value(tag=tag, metadata=told, tensor=tensor)]), step)

    def _summary(self, curve: str, content: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if curve not in self._writers:
            self._writers[curve] = EventFileWriter(str(self._root / curve))
        # The hyperparameters' module makes TensorFlow's own kind of message where that is imported.
        content = Summary.FromString(content.SerializeToString())
        self._writers[curve].add_event(Event(wall_time=time.time(), step=step, summary=content))


def _confusion(found: figures.Confusion) -> bytes:
    """A confusion matrix as PNG: rows are true classes, shares of a row as blues, images as numbers."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = len(found.names)
    side = min(2.5 + CELL * classes, LARGEST)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    axes.imshow(found.shares, cmap="Blues", vmin=0, vmax=1)
    size = max(3.0, min(8.0, 60 * (side - 2.5) / classes))
    # A dollar sign would start a formula.
    names = [name.replace("$", r"\$")[:30] for name in found.names]
    axes.set_xticks(range(classes), names, rotation=90, fontsize=size)
    axes.set_yticks(range(classes), names, fontsize=size)
    axes.set(xlabel="answer", ylabel="class", title=f"{found.split}: share of each class's images")
    for row, counts in enumerate(found.counts):
        for column, count in enumerate(counts):
            if count:
                colour = "white" if found.shares[row][column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=size)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font lacks is a box here; the report has the name as text.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()
