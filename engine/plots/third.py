"""A third metric of a front: how large or how strong each mark is drawn for it, and the legend in words."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from engine import quantities
from engine.analysis.front import own_value
from engine.metrics import METRICS
from engine.outcome.row import Row

ShownBy = Literal["size", "shade"]
_SMALLEST, _LARGEST = 8.0, 26.0  # pixels across


class Third(NamedTuple):
    """A metric with the ends of its values among the rows drawn; missing: whether some rows lack it."""

    metric: str
    shown_by: ShownBy
    low: float
    high: float
    missing: bool

    def share(self, row: Row) -> float | None:
        """Where a row's value lies between the ends, in [0, 1]; on a logarithm where the metric's axis has one."""
        value = own_value(row, self.metric)
        if value is None or not math.isfinite(value):
            return None
        low, high = self.low, self.high
        if METRICS[self.metric].scale == "log" and low > 0:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return (value - low) / (high - low) if high > low else 0.5

    def across(self, row: Row) -> float | None:
        """Pixels across a mark whose area grows with the share; None where the shade shows it."""
        if self.shown_by != "size":
            return None
        share = self.share(row)
        return _SMALLEST if share is None else math.sqrt(_SMALLEST**2 + share * (_LARGEST**2 - _SMALLEST**2))

    @property
    def legend(self) -> list[str]:
        """What the marks mean, in parts: "larger: more decoding speed-up", "0.85x to 1.3x"."""
        name = METRICS[self.metric].label.lower()
        sized = self.shown_by == "size"
        ends = " to ".join(quantities.format_value(self.metric, end) for end in (self.low, self.high))
        missing = [f"{'smallest' if sized else 'no fill'}: not measured"] if self.missing else []
        return [f"{'larger' if sized else 'stronger shade'}: more {name}", ends, *missing]


def find_third(rows: Sequence[Row], metric: str, shown_by: ShownBy) -> Third | None:
    """The metric over the rows drawn, None where none of them has it."""
    values = [value for row in rows if (value := own_value(row, metric)) is not None and math.isfinite(value)]
    return Third(metric, shown_by, min(values), max(values), len(values) < len(rows)) if values else None
