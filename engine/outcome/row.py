"""One trial as the analysis, the plots and the pages see it, whether it comes from the store or was recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.spec.recipe import parse

State = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Progress:
    """How far a running trial has come: its stage, the units done of it, and seconds left where known."""

    stage: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None

    @property
    def share(self) -> float:
        """Of the stage that is done, in [0, 1]; 0 where its units are not known."""
        return min(self.done / self.total, 1.0) if self.total else 0.0


@dataclass(frozen=True)
class Row:
    """A trial with its results; `metrics` holds None where a value could not be measured, `reasons` says why."""

    trial_id: str
    comparison_id: str
    model: str
    recipe: str
    protocol: Mapping[str, Any]
    state: State = "done"
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    notes: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    recorded: bool = False
    sweep_ids: tuple[int, ...] = ()
    progress: Progress = Progress()
    reason: str = ""  # of a failure
    stopped_at: int | None = None  # questions answered, where an anytime sweep has not asked them all
    left_out_by: str | None = None  # the trial that is surely as good and no larger
    created_at: float = 0.0  # seconds since the epoch
    started_at: float | None = None
    finished_at: float | None = None
    measures: tuple[str, ...] = ()

    @property
    def has_result(self) -> bool:
        """Whether it is done, or waits or runs for more than it has: its results so far stand."""
        return self.state == "done" or (self.stopped_at is not None and self.state in ("queued", "running"))

    @property
    def family(self) -> str:
        return parse(self.recipe).family

    @property
    def label(self) -> str:
        """The recipe in words."""
        return parse(self.recipe).describe()

    def value(self, name: str) -> float | None:
        return self.metrics.get(name)
