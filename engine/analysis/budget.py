"""The best result whose weights fit a memory budget."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.analysis.front import Front, best_of, may_be_picked
from engine.outcome.row import Row


class Fitting(NamedTuple):
    """The best result that fits, None where nothing does; and the smallest of all that may be picked."""

    row: Row | None
    smallest: Row | None


class Step(NamedTuple):
    """What is best from a budget of so many bytes on, up to the next step's."""

    bytes: float
    fitting: Fitting


def best_by_budget(front: Front) -> list[Step]:
    """The results of best quality for every budget, from none at all upwards; of two equals the smaller."""
    sound = sorted((row for row in front.points if may_be_picked(row)), key=_weight)
    found = [Step(0.0, Fitting(None, sound[0] if sound else None))]
    for row in sound:
        before = found[-1].fitting
        best = best_of([*filter(None, [before.row]), row], front.y)
        if best is not before.row:
            found.append(Step(_weight(row), before._replace(row=best)))
    return found


def best_within(steps: Sequence[Step], budget_bytes: float) -> Fitting:
    """What is best, of all steps, where weights may take at most that many bytes."""
    return next(step for step in reversed(steps) if step.bytes <= budget_bytes).fitting


def _weight(row: Row) -> float:
    return row.value("weight_bytes") or 0.0
