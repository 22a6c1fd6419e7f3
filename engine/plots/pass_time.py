"""What the time of a prompt or of a word is made of: a bar for a result and one for the original timed beside it.

Reading the weights, then the arithmetic that takes longer than reading, then everything else, which is drawn hollow:
no machine needs it. Shades of the text colour, since hues belong to the families. Data first, then plotly.
"""

from typing import NamedTuple

import plotly.graph_objects as go

from engine import quantities
from engine.analysis.passes import Pair
from engine.plots import horizontal, palette
from engine.plots.palette import THEMES, Theme, ThemeName

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
        horizontal.write_total(figure, bar.name, bar.ms, _ms(bar.ms), colours)
    figure.update_xaxes(range=[0, longest * (1.3 if compact else 1.16)])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(barmode="stack", bargap=0.36)
    return figure


def _trace(part: int, bars: list[TimeBar], longest: float, colours: Theme, compact: bool) -> go.Bar:
    fill = palette.mixed(colours.text, colours.background, SHADES[part])
    pixels = (200 if compact else 380) / longest  # of a millisecond, roughly
    lines, sizes = [bar.name for bar in bars], [bar.parts_ms[part] for bar in bars]
    texts = [horizontal.fitting((_ms(size),), size * pixels) for size in sizes]
    drawn = horizontal.stack(PARTS[part], lines, sizes, texts, fill, colours.text)
    pairs = zip(lines, sizes, strict=True)
    return drawn.update(
        hovertext=[f"<b>{line}</b><br>{PARTS[part]}: {_ms(size)}<br>{_ABOUT[part]}" for line, size in pairs]
    )


def _ms(milliseconds: float) -> str:
    return quantities.format_value("decode_ms_per_token", milliseconds)
