"""One number for a whole front: how much of what could be gained its results have gained."""

from engine import pareto
from engine.analysis.front import Front
from engine.metrics import SCORES, Metric
from engine.outcome.row import Row

DEFINITION = (
    "How much of what could be gained these results gain: 0 is nothing, 1 would be all of the quality at no cost. It "
    "is the hypervolume, the area that the front dominates. Across, a result counts with the share of the original's "
    "cost that it takes ({x}{inverse}); up, with the share of the original's quality that it keeps ({y}{floor})."
)


def hypervolume(found: Front) -> float | None:
    """The exact area that a front dominates, with both axes as shares of the original's value.

    Across, a value counts as its share of the original's, or the inverse where more is better, so that less is better
    and the original stands at 1. Up, it counts as its share of what the original has above guessing, of accuracies, or
    above zero. The corner that areas are counted from is (1, 0). None where the original is not among the results, or
    has nothing to take a share of.
    """
    dense = found.dense
    if dense is None:
        return None
    across = [_taken(row, dense, found.x) for row in found.best]
    up = [_kept(row, dense, found.y) for row in found.best]
    known = [(x, y) for x, y in zip(across, up, strict=True) if x is not None and y is not None]
    if not known:
        return None
    xs, ys = zip(*known, strict=True)
    return pareto.hypervolume(xs, ys, (1.0, 0.0))


def definition(found: Front) -> str:
    """What the number is on these axes."""
    floor = ", above guessing" if _floor(found.dense, found.y) else ""
    inverse = ", inverted since more is better" if found.x.better == "higher" else ""
    return DEFINITION.format(x=found.x.label.lower(), y=found.y.label.lower(), inverse=inverse, floor=floor)


def _taken(row: Row, dense: Row, x: Metric) -> float | None:
    value, whole = row.value(x.name), dense.value(x.name)
    if not value or not whole or value < 0 or whole < 0:
        return None
    return value / whole if x.better == "lower" else whole / value


def _kept(row: Row, dense: Row, y: Metric) -> float | None:
    value, whole, floor = row.value(y.name), dense.value(y.name), _floor(dense, y)
    if value is None or whole is None or whole <= floor or (y.better == "lower" and value <= 0):
        return None
    return whole / value if y.better == "lower" else (value - floor) / (whole - floor)


def _floor(dense: Row | None, y: Metric) -> float:
    """What guessing gets of an accuracy; 0 of everything else."""
    chance = dense.value("accuracy_chance") if dense and y.name in SCORES else None
    return chance or 0.0
