"""Accuracy task by task, each with its interval, beside the original's and what guessing gets."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import streamlit as st

from engine import quantities
from engine.metrics import SCORES, metric
from engine.outcome.row import Row
from engine.tasks import task_label
from pages.shared import markup

_KEY = "Dot and bar: this result and its 95% interval."
_WHOLE = "Mean"


class Line(NamedTuple):
    """One score of one task, shares in [0, 1]; None where it is not known."""

    label: str
    name: str  # of the metric
    value: float
    low: float
    high: float
    before: float | None
    guessing: float | None


def draw_scores(row: Row, dense: Row | None) -> None:
    """Accuracy and length-normalised accuracy side by side, below each other where the page is narrow."""
    scores = [(score, lines) for score in SCORES if (lines := lines_of(row, dense, score))]
    if not scores:
        return
    ends = _ends(line for _, lines in scores for line in lines)
    for column, (score, lines) in zip(st.columns(len(scores), gap="large"), scores, strict=True):
        column.html(_rows(score, lines, ends))
    known = [line for _, lines in scores for line in lines]
    original = " Upright stroke: the original." if any(line.before is not None for line in known) else ""
    guessing = " Dotted: guessing." if any(line.guessing is not None for line in known) else ""
    markup.soft(f"{_KEY}{original}{guessing}")


def lines_of(row: Row, dense: Row | None, score: str) -> list[Line]:
    """The mean over tasks, where there are several, and every task's score; tasks of unknown interval left out."""
    tasks = [str(task) for task in row.protocol.get("tasks") or ()]
    names = {f"{score}_{task}": task_label(task) for task in tasks}
    wanted = {score: _WHOLE, **names} if len(names) > 1 else names
    return [line for name, label in wanted.items() if (line := _line(row, dense, score, name, label))]


def _line(row: Row, dense: Row | None, score: str, name: str, label: str) -> Line | None:
    value, low, high = (row.value(f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        return None
    before = dense.value(name) if dense is not None and dense is not row else None
    return Line(label, name, value, low, high, before, row.value(f"accuracy_chance{name.removeprefix(score)}"))


def _ends(lines: Iterable[Line]) -> tuple[float, float]:
    """The scale that all lines share, to whole tens of percent."""
    values = [v for line in lines for v in (line.low, line.high, line.before, line.guessing) if v is not None]
    low = math.floor(10 * min(values)) / 10
    return low, max(math.ceil(10 * max(values)) / 10, low + 0.1)


def _rows(score: str, lines: Iterable[Line], ends: tuple[float, float]) -> str:
    found = metric(score)
    low, high = (f"{100 * end:.0f}%" for end in ends)
    cells = "".join(_cells(line, ends) for line in lines)
    return (
        f'<h3 class="kp-sub"><span{markup.tip(found.definition)}>{markup.shown(found.label)}</span></h3>'
        f'<div class="kp-rows">{cells}'
        f'<span></span><span class="kp-scale"><span>{low}</span><span>{high}</span></span><span></span></div>'
    )


def _cells(line: Line, ends: tuple[float, float]) -> str:
    shown = quantities.with_interval(line.name, line.value, line.low, line.high)
    was = "" if line.before is None else f"was {quantities.format_value(line.name, line.before)}"
    low, high, value = (_place(v, ends) for v in (line.low, line.high, line.value))
    marks = f'<i class="kp-span" style="left:{low:.2f}%;width:{high - low:.2f}%"></i>'
    for kind, at in (("kp-guess", line.guessing), ("kp-then", line.before)):
        marks += "" if at is None else f'<i class="{kind}" style="left:{_place(at, ends):.2f}%"></i>'
    marks += f'<i class="kp-dot" style="left:{value:.2f}%"></i>'
    guessing = "" if line.guessing is None else f"; guessing {quantities.format_value('accuracy', line.guessing)}"
    span = " to ".join(quantities.format_value(line.name, end) for end in (line.low, line.high))
    hover = f"95%: {span}{guessing}"
    return (
        f'<span class="{"kp-mean" if line.label == _WHOLE else ""}">{markup.shown(line.label)}</span>'
        f'<span role="img" aria-label="{markup.shown(line.label)}"{markup.tip(hover, "kp-track")}>{marks}</span>'
        f'<span class="kp-num">{markup.shown(shown)}<small>{markup.shown(was)}</small></span>'
    )


def _place(value: float, ends: tuple[float, float]) -> float:
    """Where a share lies on the scale, in percent of its width."""
    return 100 * (value - ends[0]) / (ends[1] - ends[0])
