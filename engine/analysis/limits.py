"""The smallest result that keeps to limits, and why: how the next smaller one fails, or which limit to loosen.

A limit is held against the cautious end of a metric's 95% interval: a result is within 2 points of the original only
where its questions rule a greater loss out. Results that no kernel runs (simulated) and those that the default model's
own grid flatters are never picked.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine import quantities
from engine.analysis import words
from engine.analysis.front import is_dense, may_be_picked
from engine.metrics import METRICS, SCORES
from engine.outcome.row import Row

SIZE = "weight_bytes"
_ROUNDING = 1e-9


class Limit(NamedTuple):
    """How bad a metric may be at most; its better direction says to which side the bound keeps."""

    metric: str
    bound: float  # in the unit of the store; of a change, which is negative where something is lost


class Loosening(NamedTuple):
    """A limit that would be enough to loosen alone: its new bound, and the result that then keeps to all."""

    limit: Limit
    row: Row


@dataclass(frozen=True)
class Smallest:
    """The smallest result within the limits, or what stands in the way.

    next_smaller: the largest result below `row`, None where there is none; broken: the limits it breaks.
    loosened: where nothing was picked, each limit that is enough to loosen alone; closest: the result that breaks
    fewest of them, where no single one is enough.
    """

    limits: tuple[Limit, ...]
    row: Row | None = None
    next_smaller: Row | None = None
    broken: tuple[Limit, ...] = ()
    loosened: tuple[Loosening, ...] = ()
    closest: Row | None = None


def smallest_within(rows: Sequence[Row], limits: Sequence[Limit]) -> Smallest:
    """The finished result of least weight that keeps to every limit; of two equally small the more like the original.

    rows: of one comparison. A result that lacks a limited metric breaks that limit.
    """
    sized = [row for row in rows if row.state == "done" and _is_number(row.value(SIZE))]
    sound = [row for row in sized if may_be_picked(row)]
    held = tuple(limits)
    keeping = [row for row in sound if not breaks(row, held)]
    if not keeping:
        loosened = tuple(step for limit in held if (step := _loosen(sound, held, limit)))
        closest = min(sound, key=lambda row: (len(breaks(row, held)), _weight(row)), default=None)
        return Smallest(held, loosened=loosened, closest=None if loosened else closest)
    best = min(keeping, key=lambda row: (_weight(row), -(row.value("top1_agreement") or 0.0)))
    smaller = max((row for row in sized if _weight(row) < _weight(best)), key=_weight, default=None)
    return Smallest(held, best, smaller, breaks(smaller, held) if smaller else ())


def breaks(row: Row, limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits that a result breaks."""
    return tuple(limit for limit in limits if not _keeps(row, limit))


def cautious(row: Row, name: str) -> float | None:
    """What a limit is held against: the worse end of a metric's 95% interval, the value itself where it has none."""
    end = row.value(f"{name}_low" if METRICS[name].better == "higher" else f"{name}_high")
    value = row.value(name) if end is None else end
    return value if _is_number(value) else None


def explain(found: Smallest) -> str:
    """The pick in one sentence, with why the next smaller result fails; or which limit to loosen."""
    named = _names(found)
    asked = _join([_wording(limit.metric).asked(limit.bound) for limit in found.limits], "and")
    if found.row is not None:
        return f"{named[found.row.trial_id]} is the smallest result {asked}".rstrip() + f"; {_smaller(found, named)}."
    if found.loosened:
        steps = [
            f"{_wording(limit.metric).loosened(limit.bound)}, for {named[row.trial_id]}"
            for limit, row in found.loosened
        ]
        return f"There is no result {asked}: loosen {_join(steps, 'or')}."
    if found.closest is None:
        return "Nothing real has been measured yet."
    failing = _join([_fails(found.closest, limit) for limit in breaks(found.closest, found.limits)], "and")
    return (
        f"There is no result {asked}, and loosening one limit is not enough: {named[found.closest.trial_id]} {failing}."
    )


def _loosen(sound: Sequence[Row], limits: Sequence[Limit], limit: Limit) -> Loosening | None:
    """How far one limit must give way for a result that keeps to all others, or None where there is no such result."""
    others = [other for other in limits if other is not limit]
    known = [
        (value, row) for row in sound if not breaks(row, others) and (value := cautious(row, limit.metric)) is not None
    ]
    if not known:
        return None
    sign = 1 if METRICS[limit.metric].better == "higher" else -1
    value, row = max(known, key=lambda pair: (sign * pair[0], -_weight(pair[1])))
    return Loosening(Limit(limit.metric, value), row)


def _keeps(row: Row, limit: Limit) -> bool:
    value = cautious(row, limit.metric)
    if value is None:
        return False
    slack = _ROUNDING * max(1.0, abs(limit.bound))
    return value >= limit.bound - slack if METRICS[limit.metric].better == "higher" else value <= limit.bound + slack


def _smaller(found: Smallest, named: Mapping[str, str]) -> str:
    """Why the next smaller result is not the pick."""
    row = found.next_smaller
    if row is None:
        return "nothing smaller was measured"
    reasons = [_fails(row, limit) for limit in found.broken]
    if not reasons:
        reasons = ["is simulated: no kernel here runs it" if row.simulated else "is flattered by the model's own grid"]
    return f"the next smaller, {named[row.trial_id]}, {_join(reasons, 'and')}"


def _fails(row: Row, limit: Limit) -> str:
    """How a result breaks a limit, as the end of a sentence about it."""
    value = cautious(row, limit.metric)
    if value is None:
        return f"has no {METRICS[limit.metric].label.lower()}: {row.reasons.get(limit.metric, 'not measured')}"
    return _wording(limit.metric).broken(value)


def _names(found: Smallest) -> dict[str, str]:
    """Trial id -> name and size, in as few words as tell the results of the sentence apart."""
    rows = [found.row, found.next_smaller, found.closest, *(step.row for step in found.loosened)]
    there = {row.trial_id: row for row in rows if row is not None}
    labels = words.distinct_labels(list(there.values()))
    names = {trial: "the original model" if is_dense(row) else labels[trial] for trial, row in there.items()}
    return {trial: f"{names[trial]} ({quantities.format_value(SIZE, row.value(SIZE))})" for trial, row in there.items()}


class _Wording(NamedTuple):
    """What is said of a metric's limit.

    asked: of its bound, after "result"; loosened: of a new bound, after "loosen", rounded to the loose side; broken: of
    the value that breaks it, as the end of a sentence about the result.
    """

    asked: Callable[[float], str]
    loosened: Callable[[float], str]
    broken: Callable[[float], str]


def _wording(name: str) -> _Wording:
    return _WORDINGS.get(name) or _plain_wording(name)


def _plain_wording(name: str) -> _Wording:
    """Of a metric without words of its own: its label and its value."""
    label, side = METRICS[name].label.lower(), "at least" if METRICS[name].better == "higher" else "at most"
    return _Wording(
        asked=lambda bound: f"with {label} {side} {quantities.format_value(name, bound)}",
        loosened=lambda bound: f"{label} to {quantities.format_value(name, bound)}",
        broken=lambda value: f"has {label} {quantities.format_value(name, value)}",
    )


def _points(change: float) -> str:
    lost = f"{-100 * change:.1f}".removesuffix(".0")
    return f"{lost} point{'' if lost == '1' else 's'}"


def _join(parts: Sequence[str], word: str) -> str:
    """a; a and b; a, b and c."""
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}" if len(parts) > 1 else "".join(parts)


def _weight(row: Row) -> float:
    return row.value(SIZE) or 0.0


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


_ANSWERS = _Wording(
    asked=lambda bound: f"within {_points(bound)} of the original at 95% confidence",
    loosened=lambda bound: f"the loss to {math.ceil(-1000 * bound - _ROUNDING) / 10:g} points",
    broken=lambda value: f"could be {_points(value)} worse",
)
_WORDINGS = {
    **{f"{score}_change": _ANSWERS for score in SCORES},
    "top1_agreement": _Wording(
        asked=lambda bound: f"with the original's next word at least {100 * bound:g}% of the time",
        loosened=lambda bound: f"the share of next words to {math.floor(100 * bound + _ROUNDING)}%",
        broken=lambda value: f"keeps only {quantities.format_value('top1_agreement', value)} of the next words",
    ),
    SIZE: _Wording(
        asked=lambda bound: f"of at most {quantities.format_value(SIZE, bound)}",
        loosened=lambda bound: f"the size to {math.ceil(bound / 1e6 - _ROUNDING):,} MB",
        broken=lambda value: f"needs {quantities.format_value(SIZE, value)}",
    ),
    "decode_speedup": _Wording(
        asked=lambda bound: f"at least {quantities.times(bound)} as fast as the original",
        loosened=lambda bound: f"the speed to {math.floor(100 * bound + _ROUNDING) / 100:.2f}x",
        broken=lambda value: f"may be only {quantities.times(value)} as fast",
    ),
}
