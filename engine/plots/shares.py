"""Size, memory and time of several results as shares of the original's: why they don't shrink together.

Three shapes in the text colour stand on one line a result: hues belong to the families. Time is the share of the time
a word takes, from the speed-up that was measured beside the original in one run. Data first, then plotly.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from engine import quantities
from engine.analysis import words
from engine.analysis.front import is_dense
from engine.outcome.row import Row
from engine.plots import horizontal, palette
from engine.plots.marks import safe
from engine.plots.palette import THEMES, Theme, ThemeName
from engine.plots.placement import wrap


class Measure(NamedTuple):
    """One of the three: its name in the legend, plotly's symbol, its size in pixels."""

    label: str
    symbol: str
    size: int


MEASURES = {
    "weight_bytes": Measure("File", "square", 13),
    "peak_memory_bytes": Measure("Memory while it runs", "diamond-open", 14),
    "decode_ms_per_token": Measure("Time per word", "circle-open-dot", 15),
}


class Share(NamedTuple):
    """One measure of a result in percent of the original's; low and high are its 95% interval where one is known."""

    row: Row
    name: str
    percent: float
    low: float | None
    high: float | None


def share_data(rows: Sequence[Row], dense: Row) -> list[Share]:
    """The shares that are known, row by row; a simulated result has no time and no memory of its own."""
    return [share for row in rows for name in MEASURES if (share := _share(row, dense, name))]


def shares_figure(rows: Sequence[Row], dense: Row, theme: ThemeName = "light", *, compact: bool = False) -> go.Figure:
    """Each row's shares on a line of its own, 100% being the original. compact: for about 390 px."""
    colours, shares = THEMES[theme], share_data(rows, dense)
    characters, top = (17, 66) if compact else (34, 34)
    lines = {
        trial: "<br>".join(map(safe, wrap(label, characters))) for trial, label in words.distinct_labels(rows).items()
    }
    height = len(rows) * (50 if compact else 42) + 70 + top
    figure = go.Figure(layout=horizontal.layout(height, "Share of the original (bf16)", colours, compact, top))
    _draw_lines(figure, rows, shares, lines, colours)
    for name in MEASURES:
        figure.add_trace(_trace(name, [share for share in shares if share.name == name], lines, colours))
    order = [lines[row.trial_id] for row in rows]
    figure.update_yaxes(categoryorder="array", categoryarray=order, range=[len(rows) - 0.5, -0.5])
    most = max([100.0, *(share.high or share.percent for share in shares)])
    figure.update_xaxes(range=[0, most * 1.08], ticksuffix="%")
    figure.update_layout(showlegend=True)
    return figure


def _draw_lines(
    figure: go.Figure, rows: Sequence[Row], shares: Sequence[Share], lines: Mapping[str, str], colours: Theme
) -> None:
    """What joins a row's marks, in its family's hue, and where the original stands."""
    for row in rows:
        known = [share.percent for share in shares if share.row is row]
        if len(known) > 1:
            ends = {"x0": min(known), "x1": max(known), "y0": lines[row.trial_id], "y1": lines[row.trial_id]}
            stroke = {"color": palette.colour(row.family, colours), "width": 3}
            figure.add_shape(type="line", **ends, line=stroke, layer="below", opacity=0.55)
    stroke = {"color": colours.quiet, "width": 1.5, "dash": "dash"}
    figure.add_shape(type="line", x0=100, x1=100, yref="paper", y0=0, y1=1, layer="below", line=stroke)


def _share(row: Row, dense: Row, name: str) -> Share | None:
    if row.simulated and name != "weight_bytes":
        return None
    if name == "decode_ms_per_token":
        speed, low, high = (row.value(f"decode_speedup{end}") for end in ("", "_low", "_high"))
        if not speed:
            return None
        if is_dense(row) or not low or not high:
            return Share(row, name, 100 / speed, None, None)
        return Share(row, name, 100 / speed, 100 / high, 100 / low)
    value, whole = row.value(name), dense.value(name)
    return Share(row, name, 100 * value / whole, None, None) if value and whole else None


def _trace(name: str, shares: Sequence[Share], lines: Mapping[str, str], colours: Theme) -> go.Scatter:
    found = MEASURES[name]
    spans = {
        "type": "data",
        "array": [0 if s.high is None else s.high - s.percent for s in shares],
        "arrayminus": [0 if s.low is None else s.percent - s.low for s in shares],
        "color": colours.text,
        "thickness": 1.5,
        "width": 4,
    }
    return go.Scatter(
        x=[s.percent for s in shares],
        y=[lines[s.row.trial_id] for s in shares],
        mode="markers",
        name=found.label,
        marker={"symbol": found.symbol, "size": found.size, "color": colours.text, "line": {"width": 2}},
        error_x=spans if any(s.low is not None for s in shares) else None,
        customdata=[s.row.trial_id for s in shares],
        hovertext=[_hover(s) for s in shares],
        hoverinfo="text",
    )


def _hover(share: Share) -> str:
    value = quantities.format_value(share.name, share.row.value(share.name))
    span = "" if share.low is None else f"<br>95%: {share.low:.0f}% to {share.high:.0f}%"
    title = f"<b>{safe(share.row.label)}</b><br>{MEASURES[share.name].label}: {share.percent:.0f}% of the original's"
    return f"{title} ({value}){span}"
