"""The best result whose weights fit a memory budget."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.front import best_of, find_front, may_be_picked
from engine.row import Row


class Fitting(NamedTuple):
    """The best result that fits, None where nothing does; and the smallest of all that may be picked."""

    row: Row | None
    smallest: Row | None


def best_within(
    rows: Sequence[Row], budget_bytes: float, comparison: str | None = None, y: str = "accuracy"
) -> Fitting:
    """The result of best `y` in a comparison whose weights take at most that many bytes; the smaller of two equals."""
    front = find_front(rows, "weight_bytes", y, comparison)
    sound = [row for row in front.points if may_be_picked(row)]
    fitting = [row for row in sound if _weight(row) <= budget_bytes]
    return Fitting(best_of(fitting, front.y), min(sound, key=_weight, default=None))


def _weight(row: Row) -> float:
    return row.value("weight_bytes") or 0.0
