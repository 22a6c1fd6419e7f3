"""What the process of a trial or of an export is given to do, and where it works."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.measure import environment
from engine.measure.zero_shot import Answer
from engine.spec import Trial


@dataclass(frozen=True)
class Job:
    """A trial, the measures wanted of it, and an empty folder that is deleted afterwards."""

    trial: Trial
    measures: tuple[str, ...]
    work_dir: Path
    share: float | None = None  # of the questions, in the order of an anytime sweep; None for all
    answered: Mapping[str, Sequence[Answer]] = field(default_factory=dict)  # by task, what is known already
    halfway: Path | None = None  # where the compressed model lies, or is to be kept, between shares

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Job":
        trial, work_dir = Trial.from_dict(values["trial"]), Path(values["work_dir"])
        halfway = Path(values["halfway"]) if values.get("halfway") else None
        measures, answered = tuple(values["measures"]), values.get("answered", {})
        return Job(trial, measures, work_dir, values.get("share"), answered, halfway)

    @property
    def threads(self) -> int:
        return environment.cpu_threads(self.trial.protocol.threads)

    @property
    def packed(self) -> Path:
        """The folder of the packed checkpoint."""
        return self.work_dir / "packed"
