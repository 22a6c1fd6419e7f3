"""Figures from papers as marks of their own beside a front, on axes that are relative to an original."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import plotly.graph_objects as go

from engine import quantities
from engine.analysis.published import PUBLISHED, Measure, Published
from engine.plots.palette import Theme

SIZE = 9  # pixels across
_MEASURES: dict[str, Measure] = {
    "perplexity_ratio": "perplexity",
    "accuracy_change": "score",
    "accuracy_norm_change": "score",
}


class PaperMark(NamedTuple):
    """One published figure as it is drawn, in the axes' units."""

    key: str
    figure: Published
    x: float
    y: float
    clipped: bool
    hover: str


def paper_marks(x: str, y: str) -> tuple[PaperMark, ...]:
    """What papers give on these axes; nothing unless both are relative to an original."""
    if x != "compression_ratio" or y not in _MEASURES:
        return ()
    limit = quantities.PERPLEXITY_RATIO_LIMIT if y == "perplexity_ratio" else float("inf")
    found = [one for one in PUBLISHED if one.measure == _MEASURES[y]]
    return tuple(
        PaperMark(f"paper {n}", one, one.size_ratio, min(one.relative, limit), one.relative > limit, _hover(one))
        for n, one in enumerate(found)
    )


def paper_traces(marks: Sequence[PaperMark], colours: Theme) -> list[go.Scatter]:
    """Open crosses in the quiet colour, those of one series joined by a dotted line; never clickable."""
    if not marks:
        return []
    xs: list[float | None] = []
    ys: list[float | None] = []
    for _, alike in groupby(marks, key=series):
        for mark in alike:
            xs.append(mark.x)
            ys.append(mark.y)
        xs.append(None)
        ys.append(None)
    line = {"color": colours.quiet, "width": 1, "dash": "dot"}
    look = {"symbol": "cross-open", "size": SIZE, "color": colours.quiet, "line": {"width": 1.5}}
    return [
        go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", name="papers' lines"),
        go.Scatter(
            x=[mark.x for mark in marks],
            y=[mark.y for mark in marks],
            mode="markers",
            name="papers",
            marker=look,
            hovertext=[mark.hover for mark in marks],
            hoverinfo="text",
        ),
    ]


def series(mark: PaperMark) -> tuple[str, str, str]:
    """What figures share that are comparable: the model, the method and what was measured."""
    return mark.figure.model, mark.figure.method, mark.figure.on


def paper_label(mark: PaperMark) -> str:
    """ "SliceGPT, Llama-2-70B"; of a score also on what: "ShortGPT, Llama-2-7B, XSum" """
    on = f", {mark.figure.on}" if mark.figure.measure == "score" else ""
    return f"{mark.figure.method}, {mark.figure.model}{on}"


def _hover(one: Published) -> str:
    ratio = quantities.format_value("perplexity_ratio", one.relative)
    change = quantities.format_value("accuracy_change", one.relative / 100)
    got = (
        f"Perplexity {one.original:g} to {one.value:,.5g} ({ratio}) on {one.on}"
        if one.measure == "perplexity"
        else f"{one.original:g}% to {one.value:g}% ({change}) on {one.on}"
    )
    return "<br>".join(
        [
            f"<b>{one.method}, {one.model}</b>",
            f"{one.setting}: nominally {quantities.times(one.size_ratio)} smaller",
            got,
            f"Published: arXiv {one.source}",
        ]
    )
