"""Speed-ups over batches and prompts as small multiples: one for each prompt, one for decoding. Data, then plotly."""

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

import plotly.graph_objects as go

from engine.outcome.latency_cells import Cell, LatencyGrid
from engine.outcome.row import Row
from engine.plots import palette
from engine.plots.axes import SMALL, TICK, frame, log_ticks
from engine.plots.marks import safe
from engine.plots.palette import THEMES, Theme, ThemeName

Found = Mapping[str, tuple[Row, LatencyGrid]]  # by letter
_PANEL, _GAP = 232, 66  # pixels of a panel's height, and between two rows of them

CSV_HEADS = ("result", "trial", "recipe", *Cell._fields)


def panel_data(found: Found) -> dict[str, dict[str, list[Cell]]]:
    """By the panel's title and a result's letter, its cells by batch: prompts by length first, decoding last."""
    panels: dict[str, dict[str, list[Cell]]] = {}
    for letter, (_, grid) in found.items():
        for cell in grid.cells:
            panels.setdefault(_title(cell), {}).setdefault(letter, []).append(cell)
    return panels


def batch_figure(found: Found, theme: ThemeName = "light", *, compact: bool = False) -> go.Figure:
    """Panels on one scale: times as fast as the original by batch, with 95% whiskers. compact: for about 390 px."""
    colours, panels = THEMES[theme], panel_data(found)
    across = 2 if compact else 4
    rows = -(-len(panels) // across)
    height = rows * _PANEL + (rows - 1) * _GAP + 90
    figure = go.Figure(layout=frame(height, {"l": 8, "r": 12, "t": 30, "b": 56}, colours))
    ends = [
        end for panel in panels.values() for cells in panel.values() for cell in cells for end in (cell.low, cell.high)
    ]
    low, high = min([0.9, *ends]) / 1.08, max([1.1, *ends]) * 1.2  # room for letters
    for number, (title, lines) in enumerate(panels.items()):
        batches = sorted({cell.batch for cells in lines.values() for cell in cells})
        _add_panel(figure, number, (rows, across), height, title, batches, (low, high), colours)
        for place, (letter, cells) in enumerate(lines.items()):
            shift = 0.22 * (place - (len(found) - 1) / 2)
            places = [batches.index(cell.batch) + shift for cell in cells]
            figure.add_trace(_marks(letter, found[letter][0], cells, places, number, colours))
            figure.add_trace(_letters(letter, cells, places, number, colours))
    return figure


def csv_data(found: Found) -> list[list[Any]]:
    """A row for every cell of every result."""
    return [[letter, row.trial_id, row.recipe, *cell] for letter, (row, grid) in found.items() for cell in grid.cells]


def _title(cell: Cell) -> str:
    return f"Prompt of {cell.prompt:,} tokens" if cell.phase == "prefill" else "Decoding, a word"


def _add_panel(
    figure: go.Figure, number: int, shape: tuple[int, int], height: int, title: str, batches: Sequence[int],
    ends: tuple[float, float], colours: Theme,
) -> None:  # fmt: skip
    """Axes of one panel with its title, and the line where both are equally fast."""
    rows, across = shape
    down, right = divmod(number, across)
    name = str(number + 1) if number else ""
    wide, inner = (1 - 0.05 * (across - 1)) / across, height - 86
    left, top = right * (wide + 0.05), 1 - down * (_PANEL + _GAP) / inner
    bottom = top - (_PANEL if rows > 1 else inner) / inner
    tick = {"tickfont": {"size": TICK, "color": colours.text}, "zeroline": False, "fixedrange": True}
    ticks = log_ticks(*ends, 5)
    figure.update_layout(
        {
            f"xaxis{name}": {
                **tick, "domain": [left, left + wide], "anchor": f"y{name}", "showgrid": False,
                "range": [-0.5, len(batches) - 0.5],
                "tickvals": list(range(len(batches))), "ticktext": [str(batch) for batch in batches],
                "title": {"text": "Batch", "font": {"size": TICK, "color": colours.text}, "standoff": 4},
            },
            f"yaxis{name}": {
                **tick, "domain": [max(0.0, bottom), top], "anchor": f"x{name}", "type": "log", "autorange": False,
                "range": [log10(end) for end in ends], "gridcolor": colours.grid, "automargin": True,
                "tickvals": ticks, "ticktext": [f"{tick:g}x" for tick in ticks], "showticklabels": right == 0,
                "title": {"text": "" if right or across == 2 else "Times as fast", "font": tick["tickfont"]},
            },
        }
    )  # fmt: skip
    font = {"size": TICK, "color": colours.text, "weight": 600}
    where = {"x": left, "y": top, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    figure.add_annotation(text=title, showarrow=False, yshift=4, font=font, **where)
    equal = {"color": colours.text, "width": 1.5, "dash": "dash"}
    figure.add_shape(
        type="line", x0=-0.5, x1=len(batches) - 0.5, y0=1, y1=1, xref=f"x{name}", yref=f"y{name}", line=equal
    )


def _letters(letter: str, cells: Sequence[Cell], places: Sequence[float], number: int, colours: Theme) -> go.Scatter:
    """The result's letter above every whisker."""
    return go.Scatter(
        x=list(places),
        y=[cell.high for cell in cells],
        **_axes(number),
        mode="text",
        name=letter,
        text=[letter] * len(cells),
        textposition="top center",
        textfont={"size": SMALL, "color": colours.text, "weight": 700},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _axes(number: int) -> dict[str, str]:
    name = str(number + 1) if number else ""
    return {"xaxis": f"x{name}", "yaxis": f"y{name}"}


def _marks(
    letter: str, row: Row, cells: Sequence[Cell], places: Sequence[float], number: int, colours: Theme
) -> go.Scatter:
    look, hue = palette.family(row.family), palette.colour(row.family, colours)
    return go.Scatter(
        x=list(places),
        y=[cell.speedup for cell in cells],
        **_axes(number),
        mode="markers",
        name=letter,
        marker={"symbol": [f"{look.symbol}-open" if c.disturbed else look.symbol for c in cells], "size": 10,
                "color": hue, "line": {"width": 1.5, "color": hue}},
        error_y={
            "type": "data", "array": [cell.high - cell.speedup for cell in cells],
            "arrayminus": [cell.speedup - cell.low for cell in cells], "color": hue, "thickness": 1.5, "width": 4,
        },
        customdata=[row.trial_id] * len(cells),
        hovertext=[_hover(letter, row, cell) for cell in cells],
        hoverinfo="text",
        cliponaxis=False,
    )  # fmt: skip


def _hover(letter: str, row: Row, cell: Cell) -> str:
    beside = "<br>timed beside other load" if cell.disturbed else ""
    return (
        f"<b>{letter}: {safe(row.label)}</b><br>{_title(cell)}, batch {cell.batch}: {cell.speedup:.2f}x the original's "
        f"speed ({cell.low:.2f} to {cell.high:.2f})<br>{cell.ms:,.1f} ms ± {cell.spread_ms / 2:,.1f}, original "
        f"{cell.dense_ms:,.1f} ms ± {cell.dense_spread_ms / 2:,.1f}{beside}"
    )
