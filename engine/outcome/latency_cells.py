"""Times over batches and prompts as they are kept: a cell for every batch and prompt, beside the dense model's."""

import math
from typing import Any, Literal, NamedTuple, get_args

from engine.outcome.kept import Profile

NAME = "latency_grid"  # of the measure, and of the profile it gives

Phase = Literal["prefill", "decode"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class Cell(NamedTuple):
    """One phase at one batch and prompt: medians with interquartile ranges in ms, and how much faster than dense.

    prompt: tokens of each sequence that were read, before decoding in that phase; ms: of a forward pass over all
    prompts, or of one step of decoding; speedup: dense over compressed with the ends of its 95% interval, each side in
    its faster number format; disturbed: timed beside other load.
    """

    phase: Phase
    batch: int
    prompt: int
    ms: float
    spread_ms: float
    dense_ms: float
    dense_spread_ms: float
    speedup: float
    low: float
    high: float
    dtype: str
    dense_dtype: str
    disturbed: bool


class LatencyGrid(NamedTuple):
    """Every cell that was timed: prefill first, by prompt and batch, then decode by batch."""

    cells: tuple[Cell, ...]

    def to_dict(self) -> dict[str, Any]:
        """As a profile keeps it."""
        return {"cells": [cell._asdict() for cell in self.cells]}

    @staticmethod
    def from_dict(values: Profile) -> "LatencyGrid":
        """Raises KeyError, TypeError or ValueError for what `to_dict` doesn't write."""
        return LatencyGrid(tuple(_cell(**cell) for cell in values["cells"]))


def _cell(phase: Phase, batch: int, prompt: int, dtype: str, dense_dtype: str, disturbed: bool, **times: float) -> Cell:
    if phase not in PHASES:
        raise ValueError(f"phase must be one of {PHASES}, got {phase!r}")
    if any(isinstance(time, bool) or not math.isfinite(time) or time < 0 for time in times.values()):
        raise ValueError(f"times must be numbers of 0 or more, got {times}")
    made: dict[str, Any] = {name: float(time) for name, time in times.items()}
    made |= {"dtype": str(dtype), "dense_dtype": str(dense_dtype), "disturbed": bool(disturbed)}
    return Cell(phase, int(batch), int(prompt), **made)
