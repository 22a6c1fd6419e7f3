"""What the time of a prompt or of a word is made of: a bar for a result and one for the original timed beside it.

Reading the weights, then the arithmetic that takes longer than reading, then everything else, which is drawn hollow:
no machine needs it. Shades of the text colour, since hues belong to the families. Data first, then plotly.
"""

from typing import NamedTuple

import plotly.graph_objects as go

from engine import words
from engine.passes import Pair
from engine.plots import horizontal, palette
from engine.plots.axes import SMALL, TICK
from engine.plots.palette import THEMES, Theme, ThemeName
from engine.plots.placement import text_width

PARTS = ("Reading the weights", "Arithmetic", "Everything else")
_ABOUT = (
    "the weights and the cache at the memory's full speed",
    "what it takes beyond reading, at the processor's full speed",
    "Python, calls, norms, attention, unpacking, and what runs below full speed",
)
SHADES = (0.82, 0.46, 0.0)  # of the text colour
OURS, ORIGINAL, ALONE = "This result", "Original", "Result"
_HEIGHT, _TOP = 46, 6  # pixels of a bar with its gap, and above the first


class TimeBar(NamedTuple):
    """One bar: its name, and the milliseconds of each of `PARTS`."""

    name: str
    parts_ms: tuple[float, float, float]

    @property
    def ms(self) -> float:
        return sum(self.parts_ms)


def names(pair: Pair) -> tuple[str, ...]:
    """What the passes of a pair are called, in their order."""
    return (ALONE,) if pair.original is None else (OURS, ORIGINAL)


def time_data(pair: Pair) -> list[TimeBar]:
    """The bars whose parts are known, the result's own first."""
    sides = zip(names(pair), pair, strict=False)
    return [TimeBar(name, side.parts_ms) for name, side in sides if side is not None and side.parts_ms is not None]


def time_figure(pair: Pair, theme: ThemeName = "light", *, compact: bool = False) -> go.Figure:
    """The bars of one phase, without a legend, which several figures share. compact: for about 390 px."""
    bars, colours = time_data(pair), THEMES[theme]
    height = len(bars) * _HEIGHT + 60 + _TOP
    figure = go.Figure(layout=horizontal.layout(height, "Milliseconds", colours, compact, _TOP))
    longest = max((bar.ms for bar in bars), default=1.0)
    for part in range(len(PARTS)):
        figure.add_trace(_trace(part, bars, longest, colours, compact))
    for bar in bars:
        where = {"x": bar.ms, "y": bar.name, "xanchor": "left", "xshift": 6, "showarrow": False}
        figure.add_annotation(text=_ms(bar.ms), font={"size": TICK, "color": colours.text, "weight": 600}, **where)
    figure.update_xaxes(range=[0, longest * (1.3 if compact else 1.16)])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(barmode="stack", bargap=0.36)
    return figure


def _trace(part: int, bars: list[TimeBar], longest: float, colours: Theme, compact: bool) -> go.Bar:
    fill = palette.mixed(colours.text, colours.background, SHADES[part])
    pixels = (200 if compact else 380) / longest  # of a millisecond, roughly
    drawn = [(bar, bar.parts_ms[part]) for bar in bars]
    sizes = [size for _, size in drawn]
    texts = [_ms(size) if text_width(_ms(size), SMALL) + 10 <= size * pixels else "" for size in sizes]
    return go.Bar(
        orientation="h",
        y=[bar.name for bar in bars],
        x=sizes,
        name=PARTS[part],
        text=texts,
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont={"size": SMALL, "color": palette.ink(fill)},
        marker={"color": fill, "line": {"width": 1, "color": colours.text}},
        hovertext=[f"<b>{bar.name}</b><br>{PARTS[part]}: {_ms(size)}<br>{_ABOUT[part]}" for bar, size in drawn],
        hoverinfo="text",
    )


def _ms(milliseconds: float) -> str:
    return words.format_value("decode_ms_per_token", milliseconds)
