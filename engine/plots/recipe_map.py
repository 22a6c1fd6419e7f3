"""The map: the tree of recipes as a plotly figure.

A node's area is its bytes, its shade its quality with the number written beside it, its shape and outline the family
of its last step. Recipes that were only passed through are hollow, and say so. Nodes carry their trial's id as
`customdata`.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from engine import quantities
from engine.analysis import words
from engine.analysis.front import flattered
from engine.metrics import METRICS
from engine.outcome.row import Row
from engine.plots import palette
from engine.plots.axes import SMALL, TICK, frame
from engine.plots.marks import safe
from engine.plots.palette import THEMES, Theme, ThemeName, mixed
from engine.plots.placement import wrap
from engine.plots.recipe_tree import Node, Tree, recipe_tree

_HOLLOW = 12  # pixels across a recipe that was not measured
_LETTER = 6.7  # pixels of a letter of a label, on average
_STRAIGHT, _TURN = 50, 80  # pixels that an edge leaves the root level, and that it takes to reach its line
# Area of plotly's symbols at the same size, in squares of half that size, so that equal bytes look equally large.
_AREAS = {"circle": 3.14, "square": 4.0, "diamond": 3.38, "triangle-up": 1.73, "hexagon": 2.6, "star": 2.2}


class _Look(NamedTuple):
    """Sizes in pixels of the wide and of the narrow picture."""

    width: int
    line: int  # height of a line
    largest: int  # across the original
    root: int  # x of the root
    first: int  # x of the first step
    step: int | None  # between later steps; None shares out what is left


_WIDE = _Look(880, 54, 40, 48, 210, None)
_NARROW = _Look(340, 56, 32, 22, 60, 30)


def map_figure(
    rows: Sequence[Row],
    quality: str = "accuracy",
    highlighted: Collection[str] = (),
    theme: ThemeName = "light",
    *,
    compact: bool = False,
) -> go.Figure:
    """The recipes of one comparison's rows as a tree, with `quality` as the shade of the nodes.

    highlighted: trial ids that are ringed, and drawn even where there is no room for all. compact: for about 390 px.
    """
    tree = recipe_tree(rows, quality, highlighted, indented=compact)
    look, colours = _NARROW if compact else _WIDE, THEMES[theme]
    note = _note(tree, quality, compact)
    margin = {"l": 4, "r": 4, "t": 10 + round(1.3 * SMALL * len(note)), "b": 10}
    height = tree.lines * look.line + look.line // 2 + margin["t"] + margin["b"]
    figure = go.Figure(layout=frame(height, margin, colours))
    hidden = {"visible": False, "fixedrange": True}
    figure.update_xaxes(range=[0, look.width], **hidden)
    figure.update_yaxes(range=[tree.lines - 0.25, -0.75], **hidden)
    columns = _columns(tree, look)
    figure.add_trace(_edges(tree, columns, look, colours))
    shades = _shades(tree, quality, colours)
    figure.add_trace(_measured(tree, columns, shades, quality, look, colours))
    figure.add_trace(_passed(tree, columns, colours))
    ringed = [node for node in tree.nodes if node.row and node.row.trial_id in highlighted]
    figure.add_trace(_rings(ringed, columns, tree, look, colours))
    notes = [_label(node, columns, _size(node, tree, look), quality, look, colours) for node in tree.nodes]
    where = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    font = {"size": SMALL, "color": colours.quiet}
    notes.append({"text": "<br>".join(note), "font": font, "align": "left", "showarrow": False, **where})
    figure.update_layout(annotations=notes)  # at once: one by one they take ten times as long
    return figure


def _columns(tree: Tree, look: _Look) -> list[float]:
    """The x of each depth."""
    deepest = max((node.depth for node in tree.nodes), default=0)
    step = look.step or (look.width - look.first) / max(deepest, 1)
    return [look.root, *(look.first + step * n for n in range(deepest))]


def _edges(tree: Tree, columns: Sequence[float], look: _Look, colours: Theme) -> go.Scatter:
    """Every edge as a curve that leaves and arrives level; in the narrow picture down and then across."""
    share = np.linspace(0, 1, 13)
    xs: list[float | None] = []
    ys: list[float | None] = []
    for node in tree.nodes:
        if node.parent is None:
            continue
        parent = tree.nodes[node.parent]
        start, end = columns[parent.depth], columns[node.depth]
        if look is _NARROW:
            xs += [start, start, end, None]
            ys += [parent.line, node.line, node.line, None]
            continue
        turn = start + (_STRAIGHT if parent.parent is None else end - start - _TURN)
        xs += [start, *(turn + (end - turn) * share).tolist(), None]
        ys += [parent.line, *(parent.line + (node.line - parent.line) * share**2 * (3 - 2 * share)).tolist(), None]
    line = {"color": colours.quiet, "width": 1.5}
    return go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", name="steps")


def _measured(
    tree: Tree, columns: Sequence[float], shades: dict[str, str], quality: str, look: _Look, colours: Theme
) -> go.Scatter:
    nodes = [node for node in tree.nodes if node.row is not None]
    rows = [node.row for node in nodes if node.row is not None]
    return go.Scatter(
        x=[columns[node.depth] for node in nodes],
        y=[node.line for node in nodes],
        mode="markers",
        name="recipes",
        customdata=[row.trial_id for row in rows],
        hovertext=[_hover(row, quality) for row in rows],
        hoverinfo="text",
        cliponaxis=False,
        marker={
            "symbol": [palette.family(node.family).symbol for node in nodes],
            "size": [_size(node, tree, look) for node in nodes],
            "color": [shades[row.trial_id] for row in rows],
            "opacity": 1,
            "line": {"width": 2.5, "color": [palette.colour(node.family, colours) for node in nodes]},
        },
    )


def _passed(tree: Tree, columns: Sequence[float], colours: Theme) -> go.Scatter:
    nodes = [node for node in tree.nodes if node.row is None]
    return go.Scatter(
        x=[columns[node.depth] for node in nodes],
        y=[node.line for node in nodes],
        mode="markers",
        name="not measured",
        hovertext=[f"<b>{safe(node.label)}</b><br>Only passed through: not measured" for node in nodes],
        hoverinfo="text",
        marker={
            "symbol": [palette.family(node.family).symbol for node in nodes],
            "size": _HOLLOW,
            "color": colours.background,
            "opacity": 1,
            "line": {"width": 1.5, "color": colours.quiet},
        },
    )


def _rings(nodes: Sequence[Node], columns: Sequence[float], tree: Tree, look: _Look, colours: Theme) -> go.Scatter:
    return go.Scatter(
        x=[columns[node.depth] for node in nodes],
        y=[node.line for node in nodes],
        mode="markers",
        name="highlight",
        hoverinfo="skip",
        cliponaxis=False,
        marker={
            "symbol": "circle-open",
            "size": [_size(node, tree, look) + 13 for node in nodes],
            "color": colours.text,
            "line": {"width": 2.5},
        },
    )


def _label(
    node: Node, columns: Sequence[float], size: float, quality: str, look: _Look, colours: Theme
) -> dict[str, object]:
    """What a node is, in bold, and its numbers: to its right, of the root in the wide picture below it."""
    below = node.parent is None and look is _WIDE and len(columns) > 1
    x = columns[node.depth]
    inner = node.depth + 1 < len(columns) and look is _WIDE and not below
    room = (columns[node.depth + 1] - 12 if inner else look.width) - x - size / 2 - 10
    lines = wrap(node.label + (words.marks(node.row) if node.row else ""), max(14, int(room / _LETTER)), 2)
    text = "<br>".join([*(f"<b>{safe(line)}</b>" for line in lines), safe(_numbers(node, quality))])
    place: dict[str, object] = {"xanchor": "left", "yanchor": "middle", "xshift": size / 2 + 9, "align": "left"}
    if below:
        place = {"xanchor": "center", "yanchor": "top", "yshift": -size / 2 - 4, "align": "center"}
    font = {"size": SMALL if below else TICK, "color": colours.text}
    box = {"bgcolor": colours.background, "borderpad": 1, "showarrow": False}
    return {"x": x, "y": node.line, "text": text, "font": font, **box, **place}


def _numbers(node: Node, quality: str) -> str:
    if node.row is None:
        return "not measured"
    shown = [quantities.format_value(name, node.row.value(name)) for name in (quality, "weight_bytes")]
    return " · ".join([*shown, *(["simulated"] if node.row.simulated else [])])


def _hover(row: Row, quality: str) -> str:
    shown = [quantities.format_value("weight_bytes", row.value("weight_bytes"))]
    ratio = row.value("compression_ratio")
    shown += [f"{quantities.times(ratio)} smaller than bf16"] if ratio and ratio >= 1.005 else []
    standing = ["simulated, no kernel"] if row.simulated else []
    standing += ["† flattered by the model's own 4-bit grid"] if flattered(row) else []
    lines = [
        f"<b>{safe(row.label)}</b>",
        safe(" · ".join(shown)),
        safe(f"{METRICS[quality].label}: {quantities.format_value(quality, row.value(quality))}"),
        safe(" · ".join([*standing, "Click to open the result"])),
    ]
    return "<br>".join(lines)


def _size(node: Node, tree: Tree, look: _Look) -> float:
    """Pixels across: the area is in proportion to the bytes."""
    if node.row is None:
        return _HOLLOW
    largest = max((other.row.value("weight_bytes") or 0.0 for other in tree.nodes if other.row), default=0.0)
    share = (node.row.value("weight_bytes") or 0.0) / largest if largest else 0.0
    shape = _AREAS["circle"] / _AREAS[palette.family(node.family).symbol]
    return float(max(6.0, look.largest * (share * shape) ** 0.5))


def _shades(tree: Tree, quality: str, colours: Theme) -> dict[str, str]:
    """Trial id -> fill: the text colour, the stronger the better; the background where it was not measured."""
    known = {node.row.trial_id: value for node in tree.nodes if node.row and (value := _goodness(node.row, quality))}
    low, high = min(known.values(), default=0.0), max(known.values(), default=1.0)
    fills = {node.row.trial_id: colours.background for node in tree.nodes if node.row}
    for trial, value in known.items():
        fills[trial] = mixed(colours.text, colours.background, 0.1 + 0.65 * (value - low) / ((high - low) or 1.0))
    return fills


def _goodness(row: Row, quality: str) -> float | None:
    """The metric as something that is better the higher it is: of perplexity, its inverse."""
    value = row.value(quality)
    return value if METRICS[quality].better == "higher" or not value else 1 / value


def _note(tree: Tree, quality: str, compact: bool) -> list[str]:
    better = METRICS[quality].better
    parts = [
        f"Numbers: {METRICS[quality].label.lower()} (stronger shade: {better})",
        "bytes of the weights (area)",
        "hollow: passed through, not measured",
    ]
    if tree.left_out:
        parts.append(f"{tree.left_out:,} more are not drawn: filter to see others")
    return parts if compact else [" · ".join(parts)]
