"""How families and themes look on every page: colour and shape together, so that neither carries meaning alone."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

ThemeName = Literal["light", "dark"]


@dataclass(frozen=True)
class Family:
    """A method family's mark: `symbol` is plotly's name, `glyph` the same shape as a character for pills and tables."""

    label: str
    colour: str
    symbol: str
    glyph: str


FAMILIES = {
    "quantize": Family("Quantize", "#0072B2", "circle", "●"),
    "prune": Family("Prune", "#D55E00", "square", "■"),
    "slice": Family("Slice", "#009E73", "diamond", "◆"),
    "distil": Family("Distil", "#CC79A7", "triangle-up", "▲"),
    "combined": Family("Combined", "#65656B", "hexagon", "⬢"),
}
DENSE = Family("Original", "", "star", "★")  # in the theme's text colour
INK = "var(--st-text-color)"  # the theme's text colour, for what the browser draws


@dataclass(frozen=True)
class Theme:
    """Colours of everything that is not a mark."""

    text: str
    quiet: str  # secondary text, at least 4.5:1 on the background
    grid: str
    background: str
    band: str  # behind a range


THEMES: dict[ThemeName, Theme] = {
    "light": Theme("#1A1C23", "#5A5F6B", "#E7E8EC", "#FFFFFF", "rgba(26, 28, 35, 0.06)"),
    "dark": Theme("#F2F3F5", "#A9AEBA", "#2B2F3A", "#0E1117", "rgba(242, 243, 245, 0.10)"),
}
FONT = '"Source Sans", "Source Sans Pro", "Source Sans 3", system-ui, sans-serif'


def family(name: str) -> Family:
    """The look of a family; one that has none yet looks like a combination."""
    return DENSE if name == "dense" else FAMILIES.get(name, FAMILIES["combined"])


def key(names: Collection[str]) -> list[Family]:
    """The looks of these families, the original's first, as a picture's key lists them."""
    return [family(name) for name in ("dense", *FAMILIES) if name in names]


def colour(name: str, theme: Theme) -> str:
    """The colour of a family's marks on a theme."""
    return family(name).colour or theme.text


def mixed(colour: str, background: str, share: float) -> str:
    """So much of a colour on a background, both as #RRGGBB."""
    ends = [[int(text[i : i + 2], 16) for i in (1, 3, 5)] for text in (colour, background)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02X}" for a, b in zip(*ends, strict=True))


def ink(fill: str) -> str:
    """Black or white, whichever contrasts more with a colour. Source: WCAG 2.2, relative luminance."""
    channels = [int(fill[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#FFFFFF" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"
