"""Which results stand on a front of two metrics, which are left out and why, the knee, and which may be picked.

Only trials of one comparison (the same weights, items and protocol) stand on one front. Simulated results stay off
fronts with a latency or memory axis. Results that the default model's own 4-bit grid flatters stay on the front,
marked, but are never the knee and never picked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from engine import pareto
from engine.errors import InputError, unknown
from engine.metrics import METRICS, SCORES, Metric, metric
from engine.outcome.row import Row
from engine.spec import DEFAULT_MODEL, parse
from engine.spec.recipe import named_blocks
from engine.stats import Interval

FLATTERED_NOTE = (
    "† The default model is a dequantized 4-bit release in asymmetric groups of 32: this recipe finds that grid again, "
    "or much of it, so its loss is flattered."
)
# A fitted grid whose zero points have a fraction finds, at 4 bits, that of the wider half of 64: one in four of all.
_GRID_BITS, _GRID_GROUP = 4, 32


@dataclass(frozen=True)
class Comparison:
    """Trials that may stand on one front: one model's weights on one item set under one protocol."""

    id: str
    model: str
    protocol: Mapping[str, Any]
    trials: int  # finished ones
    newest: float  # when the latest of them finished, seconds since the epoch


@dataclass(frozen=True)
class KneeRows:
    """The knee's trial, and those it moves to when the answers are resampled, smallest x first."""

    row: Row
    low: Row
    high: Row

    @property
    def is_range(self) -> bool:
        return self.low.trial_id != self.high.trial_id


@dataclass(frozen=True)
class Front:
    """The results of one comparison on two axes.

    points: every finished result with a value on both axes that may stand on this front; best: those that none
    dominates, by x upwards; left_out: trial id -> why a finished result is not among the points; others: comparisons
    that were left aside; failed: trials of the comparison without a result, all of them where none has one.
    """

    x: Metric
    y: Metric
    comparison: Comparison | None
    dense: Row | None
    points: tuple[Row, ...]
    best: tuple[Row, ...]
    knee: KneeRows | None
    left_out: Mapping[str, str]
    others: tuple[Comparison, ...]
    failed: tuple[Row, ...]

    @property
    def score(self) -> str:
        """How answers are counted here; see `telling_score`."""
        return telling_score(self.dense)

    @cached_property
    def best_ids(self) -> frozenset[str]:
        return frozenset(row.trial_id for row in self.best)


def find_front(
    rows: Sequence[Row], x: str = "weight_bytes", y: str = "accuracy", comparison: str | None = None
) -> Front:
    """The front of `y` over `x` in one comparison: the one named, or else that with most finished trials, then newest.

    Raises InputError for a metric that doesn't exist or that has no better direction.
    """
    across, up = axis(x), axis(y)
    groups = comparisons(rows)
    chosen = next((g for g in groups if g.id == comparison), None) if comparison else next(iter(groups), None)
    done = [row for row in rows if row.has_result and chosen and row.comparison_id == chosen.id]
    reasons = {row.trial_id: why_left_out(row, across, up) for row in done}
    points = tuple(row for row in done if not reasons[row.trial_id])
    dense = next((row for row in done if is_dense(row)), None)
    decided = (x, y) == ("weight_bytes", telling_score(dense))  # the axes by which an anytime sweep leaves trials out
    running = [row for row in points if row.left_out_by is None or not decided]
    mask = pareto.on_front(_values(running, x), _values(running, y), _better(across), _better(up))
    best = sorted((row for row, on in zip(running, mask, strict=True) if on), key=lambda row: row.metrics[x] or 0.0)
    return Front(
        x=across,
        y=up,
        comparison=chosen,
        dense=dense,
        points=points,
        best=tuple(best),
        knee=_find_knee(points, dense, across, up),
        left_out={trial: reason for trial, reason in reasons.items() if reason},
        others=tuple(g for g in groups if g is not chosen),
        failed=tuple(r for r in rows if r.state == "failed" and (chosen is None or r.comparison_id == chosen.id)),
    )


def comparisons(rows: Sequence[Row]) -> list[Comparison]:
    """The comparisons with a finished trial, those with most first, then the newest."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.has_result and row.metrics:
            groups.setdefault(row.comparison_id, []).append(row)
    found = [
        Comparison(id, members[0].model, members[0].protocol, len(members), max(m.finished_at or 0.0 for m in members))
        for id, members in groups.items()
    ]
    return sorted(found, key=lambda c: (-c.trials, -c.newest, c.id))


def why_left_out(row: Row, x: Metric, y: Metric) -> str:
    """Why a finished result can't stand on a front of these axes; empty where it can."""
    for axis_metric in (x, y):
        if borrowed(row, axis_metric.name):
            return f"simulated: {axis_metric.label.lower()} of a real kernel is not known"
        value = row.metrics.get(axis_metric.name)
        if value is None or not math.isfinite(value):
            why = row.reasons.get(axis_metric.name, "not measured")
            return f"no {axis_metric.label.lower()}: {why}"
        if axis_metric.scale == "log" and value <= 0:
            return f"{axis_metric.label.lower()} is {value:g}, which a logarithmic axis can't show"
    return ""


def borrowed(row: Row, name: str) -> bool:
    """Whether a metric is not the result's own: a simulated one ran as slowly and as large as the dense kernels do."""
    return row.simulated and (metric(name).measure == "latency" or name == "peak_memory_bytes")


def own_value(row: Row, name: str) -> float | None:
    """A metric's value; None too where it is borrowed."""
    return None if borrowed(row, name) else row.value(name)


def whiskers(row: Row, dense: Row | None, y: str) -> Interval | None:
    """The 95% interval that a point's height is drawn with, or None where none is known.

    Of accuracy it is the paired interval of the change, laid around dense's accuracy: the noise of which questions were
    drawn moves all points together and says nothing about their differences. Without dense it is the accuracy's own.
    """
    if y in SCORES and dense is not None:
        base, change = dense.value(y), interval(row, f"{y}_change")
        if base is not None and change is not None:
            return Interval(base + change.low, base + change.high)
    return interval(row, y)


def interval(row: Row, name: str) -> Interval | None:
    """A metric's 95% interval, None where none is known."""
    low, high = row.value(f"{name}_low"), row.value(f"{name}_high")
    return None if low is None or high is None else Interval(low, high)


def telling_quality(rows: Sequence[Row], comparison: str | None = None) -> str:
    """The metric that tells a comparison's results apart: a score by which the original is surely above guessing.

    Where it guesses by both, a result can lose little accuracy however bad it is, and a front of guesses is mostly
    noise. Then it is how often the next word stays the original's, where that was measured.
    """
    mine = [row for row in rows if row.has_result and comparison in (None, row.comparison_id)]
    dense = next((row for row in mine if is_dense(row)), None)
    if dense is None or not guesses(dense) or not any(row.value("top1_agreement") for row in mine if row is not dense):
        return telling_score(dense)
    return "top1_agreement"


def telling_score(dense: Row | None) -> str:
    """How answers are counted: by acc, or by acc_norm where only by that the original is surely above guessing."""
    known = dense is not None and dense.value("accuracy_norm_low") is not None
    by_length = known and guesses(dense, "accuracy") and not guesses(dense, "accuracy_norm")
    return "accuracy_norm" if by_length else "accuracy"


def guesses(dense: Row | None, score: str | None = None) -> bool:
    """Whether the original is not surely above guessing, its interval reaching it: by a score, or else by both."""
    name = score or telling_score(dense)
    low, chance = (dense.value(value) if dense else None for value in (f"{name}_low", "accuracy_chance"))
    return low is not None and chance is not None and low <= chance


def is_dense(row: Row) -> bool:
    return row.recipe == "dense"


def flattered(row: Row) -> bool:
    """Whether the recipe quantizes the default model onto the 4-bit grid its weights already lie on."""
    return row.model == DEFAULT_MODEL and _finds_own_grid(row.recipe)


def may_be_picked(row: Row) -> bool:
    """Neither simulated, since what it occupies while it runs is not what is stored, nor flattered."""
    return not row.simulated and not flattered(row)


def best_of(rows: Sequence[Row], quality: Metric) -> Row | None:
    """The row of best quality, the smaller one of two equals; None of no rows."""
    sign = 1.0 if quality.better == "higher" else -1.0
    return max(
        rows,
        key=lambda row: (sign * (row.value(quality.name) or 0.0), -(row.value("weight_bytes") or 0.0)),
        default=None,
    )


def axis(name: str) -> Metric:
    """The metric of an axis; raises InputError for a name that doesn't exist or has no better direction."""
    try:
        found = metric(name)
    except KeyError:
        raise unknown("metric", name, METRICS) from None
    if found.better == "none":
        raise InputError(f"{name} has no better direction, so it can't be an axis of a front")
    return found


@lru_cache(maxsize=8192)
def _finds_own_grid(recipe: str) -> bool:
    for step in parse(recipe).steps:
        if "linears" in step.unpacks:
            return False
        if step.family == "quantize" and getattr(step, "targets", None):
            bits, group = getattr(step, "bits", 0), getattr(step, "group_size", 0)
            whole = bits >= _GRID_BITS and group == _GRID_GROUP and not getattr(step, "symmetric", True)
            fitted = getattr(step, "zero_points", "") == "fraction"
            own = whole or (fitted and (bits, group) == (_GRID_BITS, 2 * _GRID_GROUP))
            if own or not named_blocks(step):
                return own
    return False


def _find_knee(points: Sequence[Row], dense: Row | None, x: Metric, y: Metric) -> KneeRows | None:
    sound = [row for row in points if not flattered(row)]
    heights = [row.metrics[y.name] for row in sound]
    spans = [whiskers(row, dense, y.name) for row in sound]
    found = pareto.knee(
        _values(sound, x.name),
        [h or 0.0 for h in heights],
        [math.nan if s is None else s.low for s in spans],
        [math.nan if s is None else s.high for s in spans],
        x_better=_better(x),
        y_better=_better(y),
        log_x=x.scale == "log",
        log_y=y.scale == "log",
    )
    return None if found is None else KneeRows(sound[found.index], sound[found.low], sound[found.high])


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [row.metrics[name] or 0.0 for row in rows]


def _better(found: Metric) -> pareto.Better:
    return "lower" if found.better == "lower" else "higher"
