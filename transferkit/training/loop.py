"""A fine-tuning phase under way, and what its history says of its next step."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from transferkit.strategies import Phase, schedules
from transferkit.strategies.cost import BLENDS
from transferkit.timing import Deadline
from transferkit.training.interrupting import Interrupt
from transferkit.training.job import Job
from transferkit.training.state import Progress, Snapshot, StateFile
from transferkit.training.stopping import Standing, best_epoch, smoothed, waited

Follow: TypeAlias = Callable[[str, list[dict[str, Any]]], None]


@dataclass
class Loop:
    """A phase under way; `job`, `phase` and `progress` change as it goes.

    Attributes:
        job: what is worked on.
        phase: how.
        progress: what has been done.
        start: the model before the first epoch.
        stage_of: see `optimizers.variables_by_stage`.
        states: where whole epochs are kept.
        interrupt: whether Ctrl-C was pressed.
        deadline: when the time is up.
        follow: is told the phase's name and the rows of its history, earlier attempts first.
        thawed: stages that train now; None before the first epoch.
        began: when this epoch did.
        judging: seconds that val took last.
    """

    job: Job
    phase: Phase
    progress: Progress
    start: Snapshot
    stage_of: dict[str, str]
    states: StateFile | None
    interrupt: Interrupt
    deadline: Deadline
    follow: Follow | None = None
    thawed: tuple[str, ...] | None = None
    began: float = field(default_factory=time.perf_counter)
    judging: float = 0.0

    @property
    def model(self) -> Any:
        """That of the job."""
        return self.job.model

    @property
    def done(self) -> int:
        """Epochs of this attempt."""
        return len(self.progress.rows)

    @property
    def losses(self) -> list[float]:
        """Of val, smoothed, of the epochs of this attempt."""
        return smoothed([row["val_loss"] for row in self.progress.rows], self.job.smoothing)

    def told(self) -> None:
        """Tell who follows of the epochs so far."""
        if self.follow:
            self.follow(self.phase.name, [*self.progress.earlier, *self.progress.rows])

    def ended(self) -> str:
        """Why no epoch follows, or ""."""
        if self.done >= self.phase.epochs:
            return "ended with"
        if waited(self.losses, since=self._last_thaw()) >= self.phase.patience:
            return "stopped early after"
        # After the last epoch the blends are judged, and what is kept.
        behind = (1 + BLENDS) * self.judging
        if self.done and self.deadline.left() < self.progress.rows[-1]["seconds"] + behind:
            return "out of time after"
        return ""

    def _last_thaw(self) -> int:
        """Epochs before the last that let more stages train: what joins gets its own time to do good."""
        sets = [schedules.thawed(self.phase, epoch) for epoch in range(self.done + 1)]
        return max((n for n in range(1, self.done + 1) if sets[n] != sets[n - 1]), default=0)

    def rates(self) -> Callable[[Job, int], float]:
        """The learning rate of each step of the next epoch, by the batch size in force."""
        epoch, phase, cuts = self.done, self.phase, self._cuts()

        def rate(job: Job, step: int) -> float:
            return schedules.rate(phase, step=epoch * job.steps + step, steps_per_epoch=job.steps, cuts=cuts)

        return rate

    def _cuts(self) -> int:
        """Cuts by the epochs since the last thaw: what joins gets the whole rate first."""
        losses = [row["val_loss"] for row in self.progress.rows[self._last_thaw() :]]
        return schedules.plateau_cut(losses, smoothing=self.job.smoothing) if losses else 0

    def standing(self, epoch: int) -> Standing:
        """How an epoch (from 1) does on val, its loss as it is; 0 is the start."""
        if not epoch:
            return Standing(*self.progress.start)
        row = self.progress.rows[epoch - 1]
        return Standing(row["val_map" if self.job.multilabel else "val_top1"], row["val_loss"])

    def best(self) -> int:
        """The epoch to keep of those so far; 0 for the start."""
        epochs = [
            Standing(self.standing(number).reached, loss) for number, loss in enumerate(self.losses, start=1)
        ]
        return best_epoch(self.standing(0), epochs, len(self.job.val), ranked=self.job.multilabel)
