"""Results side by side as bars: accuracy task by task, and bytes part by part. Data first, then plotly.

Bars of accuracy have the hue of their family, a second result of a family a lighter one, and every bar its letter.
Parts of a file are shades of the text colour with their names written on them, since hues belong to the families.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from engine import quantities
from engine.analysis.compare import letters
from engine.analysis.front import is_dense
from engine.metrics import METRICS
from engine.outcome.row import Row
from engine.plots import horizontal, palette
from engine.plots.axes import SMALL
from engine.plots.marks import safe
from engine.plots.palette import THEMES, Theme, ThemeName
from engine.tasks import task_label

PARTS = ("linears", "embedding", "head", "scales_zeros", "rest")
MEAN = "Mean"
_REST = ("norms", "other")
_NAMES = {part: METRICS[f"{part}_bytes"].label for part in PARTS[:-1]} | {"rest": "Norms and other"}
_TINTS = (0.78, 0.46, 0.26, 0.12)  # of a family's hue, for its first result, its second, …
_DENSE_TINT = 0.4  # of the text colour, so that whiskers show on it
_SHADES = dict(zip(PARTS, (0.82, 0.56, 0.44, 0.3, 0.16), strict=True))  # of the text colour
_BAR, _GAP = 21, 16  # pixels


class Bar(NamedTuple):
    """One result's score in one task, in percent; low and high are its own 95% interval."""

    value: float
    low: float
    high: float


class TaskBars(NamedTuple):
    """One task's bars, None for a result that was not asked it, and what guessing gets there."""

    label: str
    bars: tuple[Bar | None, ...]
    guessing: float | None


class Segment(NamedTuple):
    """One part of a file in MB."""

    part: str
    megabytes: float


def task_data(rows: Sequence[Row], score: str = "accuracy") -> list[TaskBars]:
    """Every task that one of the rows was asked, after their mean where all rows were asked the same several tasks."""
    asked = [tuple(str(task) for task in row.protocol.get("tasks") or ()) for row in rows]
    tasks = list(dict.fromkeys(task for names in asked for task in names))
    lines = {f"{score}_{task}": (task_label(task), f"_{task}") for task in tasks}
    if len(tasks) > 1 and len(set(asked)) == 1:
        lines = {score: (MEAN, ""), **lines}
    found = [
        TaskBars(label, tuple(_bar(row, name) for row in rows), _guessing(rows, suffix))
        for name, (label, suffix) in lines.items()
    ]
    return [line for line in found if any(line.bars)]


def part_data(row: Row) -> list[Segment]:
    """The parts of a result's file that are there, in the order they are drawn; their sum is its weights."""
    sizes = {part: row.value(f"{part}_bytes") or 0.0 for part in PARTS[:-1]}
    sizes["rest"] = sum(row.value(f"{part}_bytes") or 0.0 for part in _REST)
    return [Segment(part, size / 1e6) for part, size in sizes.items() if size]


def task_figure(
    rows: Sequence[Row], score: str = "accuracy", theme: ThemeName = "light", *, compact: bool = False
) -> go.Figure:
    """Horizontal bars of up to four results, grouped by task, each with its 95% interval; guessing as dotted strokes.

    compact: for about 390 px.
    """
    lines, colours = task_data(rows, score), THEMES[theme]
    height = len(lines) * (len(rows) * _BAR + _GAP) + 84
    guessed = any(line.guessing is not None for line in lines)
    title = f"{METRICS[score].label} (%){' · dotted: guessing' if guessed else ''}"
    figure = go.Figure(layout=horizontal.layout(height, title, colours, compact))
    for n, (letter, row, (fill, ink)) in enumerate(zip(letters(rows), rows, _fills(rows, colours), strict=True)):
        known = [(line.label, line.bars[n]) for line in lines]
        figure.add_trace(_task_trace(letter, row, known, fill, ink, colours))
    for place, line in enumerate(lines):
        if line.guessing is not None:
            stroke = {"color": colours.text, "width": 2, "dash": "dot"}
            ends = {"y0": place - 0.44, "y1": place + 0.44}
            figure.add_shape(type="line", x0=line.guessing, x1=line.guessing, **ends, line=stroke)
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(barmode="group", bargap=_GAP / (len(rows) * _BAR + _GAP), bargroupgap=0.08)
    return figure


def bytes_figure(
    rows: Sequence[Row], names: Sequence[str], theme: ThemeName = "light", *, compact: bool = False
) -> go.Figure:
    """One stacked bar a result, its parts in MB and its total at the end; names: what the results are called."""
    colours, parts = THEMES[theme], [part_data(row) for row in rows]
    totals = [sum(segment.megabytes for segment in segments) for segments in parts]
    labels = [
        f"<b>{letter}</b>" + ("" if compact else f"  {safe(name)}")
        for letter, name in zip(letters(rows), names, strict=True)
    ]
    top = 66 if compact else 34
    figure = go.Figure(layout=horizontal.layout(len(rows) * 46 + 64 + top, "Weights (MB)", colours, compact, top))
    for part in PARTS:
        sizes = [next((s.megabytes for s in segments if s.part == part), 0.0) for segments in parts]
        if any(sizes):
            figure.add_trace(_part_trace(part, sizes, labels, max(totals, default=1.0), colours, compact))
    for label, total in zip(labels, totals, strict=True):
        horizontal.write_total(figure, label, total, quantities.byte_count(total * 1e6), colours)
    figure.update_xaxes(range=[0, max(totals, default=1.0) * (1.24 if compact else 1.1)])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(barmode="stack", bargap=0.38, showlegend=True)
    return figure


def _bar(row: Row, name: str) -> Bar | None:
    value, low, high = (row.value(f"{name}{end}") for end in ("", "_low", "_high"))
    return None if value is None or low is None or high is None else Bar(100 * value, 100 * low, 100 * high)


def _guessing(rows: Sequence[Row], suffix: str) -> float | None:
    """What guessing gets, in percent, where the rows that know it agree."""
    known = {round(100 * v, 6) for row in rows if (v := row.value(f"accuracy_chance{suffix}")) is not None}
    return known.pop() if len(known) == 1 else None


def _fills(rows: Sequence[Row], colours: Theme) -> list[tuple[str, str]]:
    """(colour of the bar, colour of its letter) of each row."""
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        share = _DENSE_TINT if is_dense(row) else _TINTS[seen[row.family]]
        seen[row.family] += 1
        hue = palette.colour(row.family, colours)
        fill = palette.mixed(hue, colours.background, share)
        found.append((fill, palette.ink(fill)))
    return found


def _task_trace(
    letter: str, row: Row, known: Sequence[tuple[str, Bar | None]], fill: str, ink: str, colours: Theme
) -> go.Bar:
    bars = [(label, bar) for label, bar in known if bar is not None]
    whiskers = {
        "type": "data",
        "array": [bar.high - bar.value for _, bar in bars],
        "arrayminus": [bar.value - bar.low for _, bar in bars],
        "color": colours.text,
        "thickness": 1.5,
        "width": 4,
    }
    return go.Bar(
        orientation="h",
        y=[label for label, _ in bars],
        x=[bar.value for _, bar in bars],
        name=letter,
        text=[letter] * len(bars),
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        textfont={"size": SMALL, "color": ink, "weight": 700},
        marker={"color": fill, "line": {"width": 1, "color": palette.colour(row.family, colours)}},
        error_x=whiskers,
        customdata=[row.trial_id] * len(bars),
        hovertext=[
            f"<b>{letter}: {safe(row.label)}</b><br>{safe(label)}: {bar.value:.1f}%<br>"
            f"95%: {bar.low:.1f}% to {bar.high:.1f}%"
            for label, bar in bars
        ],
        hoverinfo="text",
    )


def _part_trace(
    part: str, sizes: Sequence[float], labels: Sequence[str], widest: float, colours: Theme, compact: bool
) -> go.Bar:
    fill = palette.mixed(colours.text, colours.background, _SHADES[part])
    pixels = (250 if compact else 560) / widest  # of a megabyte, roughly
    name, shown = _NAMES[part], [quantities.byte_count(size * 1e6) for size in sizes]
    texts = [
        horizontal.fitting((f"{name} {text}", text), size * pixels) for size, text in zip(sizes, shown, strict=True)
    ]
    bars = horizontal.stack(name, labels, sizes, texts, fill, colours.background)
    return bars.update(hovertext=[f"{name}: {text}" for text in shown])
