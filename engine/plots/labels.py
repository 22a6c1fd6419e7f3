"""Which points of a front get a direct label, what it says, and where it stands."""

from collections.abc import Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from engine import quantities
from engine.analysis import words
from engine.analysis.front import Front
from engine.plots.axes import LABEL, SMALL, Canvas
from engine.plots.marks import FrontData, Mark, unit
from engine.plots.placement import LINE_HEIGHT, Box, Placed, Wanted, each_covered, matrix, place, text_width, wrap
from engine.plots.published_marks import SIZE, PaperMark, paper_label, series

MOST_LABELS, MOST_LABELS_COMPACT = 7, 4
_STRIDE = 6.0  # pixels between the places that are tried for a line's name
_INWARDS = 0.2  # square pixels of the front's line that a name may cover rather than stand a pixel further inwards
_OVER_A_MARK = 20.0  # times as bad as covering the front's line: a point under a name is not seen
_LINE_GAPS = (1.0, 9.0)  # pixels between a line and its name: the further one stands clear of a front along it
_BARE = 40.0  # square pixels that a line's name may cover rather than leave out the line's value
BETTER = {(False, True): "better ↖", (False, False): "better ↙", (True, True): "better ↗", (True, False): "better ↘"}


class LineLabel(NamedTuple):
    """The name of a reference line, at one of its ends or along it, above or below it, some pixels from it."""

    text: str
    height: float  # in the y axis's unit
    x: float  # 0 where it starts at the left end, 1 where it ends at the right one, between: its middle, of the width
    above: bool
    gap: float
    box: Box


def better_corner(found: Front) -> tuple[bool, bool]:
    """Whether the better corner is at the right, and at the top."""
    return found.x.better == "higher", found.y.better == "higher"


def place_labels(data: FrontData, canvas: Canvas, highlighted: frozenset[str]) -> tuple[list[LineLabel], list[Placed]]:
    """The names of the reference lines and the labels of points, none over another and none over a point."""
    marks = [_round_box(mark, mark.size, canvas) for mark in data.marks]
    marks += [_whisker_box(mark, canvas) for mark in data.marks if mark.kind == "front" and mark.low is not None]
    rings = [_round_box(mark, mark.ring, canvas) for mark in data.marks if mark.row.trial_id in highlighted]
    corners = [canvas.pixel(x, y) for x, y in data.step]
    lines = [_segment(a, b) for a, b in pairwise(corners)]
    heights = [canvas.pixel(data.x_range[0], h)[1] for h in (data.original, data.guessing) if h is not None]
    lines += [_segment((0, h), (canvas.area.right, h)) for h in heights]
    taken = [_corner_box(data, canvas)]
    names = []
    for name, height in (("original", data.original), ("guessing", data.guessing)):
        if height is not None:
            names.append(_name_line(name, height, data, canvas, [*marks, *rings], lines[: len(corners)], taken))
            taken.append(names[-1].box)
    most = MOST_LABELS_COMPACT if canvas.compact else MOST_LABELS
    marks += [_paper_box(mark, canvas) for mark in data.papers]
    labels = place(_wanted(data, canvas, highlighted), canvas.area, marks, lines, taken, most)
    taken += [label.box for label in labels]
    return names, [*labels, *place(_papers(data, canvas), canvas.area, marks, lines, taken, 2 * most)]


def _papers(data: FrontData, canvas: Canvas) -> list[Wanted]:
    """A label for the last figure of every model and method that papers give."""
    last = {series(mark): mark for mark in data.papers}
    return [Wanted(mark.key, *canvas.pixel(mark.x, mark.y), (paper_label(mark),), SMALL) for mark in last.values()]


def _paper_box(mark: PaperMark, canvas: Canvas) -> Box:
    x, y = canvas.pixel(mark.x, mark.y)
    return Box(x, y, x, y).grown(SIZE / 2 + 1)


def _wanted(data: FrontData, canvas: Canvas, highlighted: frozenset[str]) -> list[Wanted]:
    """Labels, the most important first: the knee, what is highlighted, the front's ends, the rest of the front."""
    found = data.front
    known = {mark.row.trial_id: mark for mark in data.marks}
    best = [row.trial_id for row in found.best if row.recipe != "dense"]
    inner = sorted(best[1:-1], key=lambda trial: -_gap(known[trial], data, canvas))
    knee = [found.knee.row.trial_id] if found.knee else []
    chosen = sorted(trial for trial in highlighted if trial in known)
    order = list(dict.fromkeys([*knee, *chosen, *best[:1], *best[-1:], *inner]))
    names = words.distinct_labels([known[trial].row for trial in order])
    characters = 20 if canvas.compact else 28
    wanted = []
    for trial in order:
        x, y = canvas.pixel(known[trial].x, known[trial].y)
        lines = wrap(names[trial], characters, 2)
        if trial in knee:
            lines = _knee_lines(found, names[trial], characters, canvas.compact)
        wanted.append(Wanted(trial, x, y, lines, LABEL, needed=trial in knee or trial in highlighted))
    return wanted


def _knee_lines(found: Front, name: str, characters: int, compact: bool) -> tuple[str, ...]:
    """The knee in words, and the range it lies in where resampling moves it."""
    assert found.knee is not None
    lines = wrap(f"Knee: {name}", characters, 2)
    low, high = (
        quantities.format_value(found.x.name, row.value(found.x.name)) for row in (found.knee.low, found.knee.high)
    )
    if low == high:
        return lines
    shared = low.rpartition(" ")[2]
    low = low.removesuffix(f" {shared}") if high.endswith(f" {shared}") else low
    return (*lines, *wrap(f"{'' if compact else 'anywhere '}from {low} to {high}", characters, 2))


def _gap(mark: Mark, data: FrontData, canvas: Canvas) -> float:
    """How far a point of the front stands from its nearest neighbour there, in pixels."""
    here = canvas.pixel(mark.x, mark.y)
    others = [canvas.pixel(m.x, m.y) for m in data.marks if m.kind == "front" and m is not mark]
    return min(((here[0] - x) ** 2 + (here[1] - y) ** 2 for x, y in others), default=0.0)


def _name_line(
    name: str,
    height: float,
    data: FrontData,
    canvas: Canvas,
    marks: Sequence[Box],
    strokes: Sequence[Box],
    taken: Sequence[Box],
) -> LineLabel:
    """Where along a reference line its name covers least; better at an end, at the left, above.

    Where little is free it leaves out the line's value, which the axis has too. strokes: the front's line; taken: the
    boxes of other texts.
    """
    full = f"{name} {quantities.format_value(data.front.y.name, height / unit(data.front.y))}"
    high = LABEL * LINE_HEIGHT
    line = canvas.pixel(data.x_range[0], height)[1]
    reach = Box(0.0, line - _LINE_GAPS[-1] - high, canvas.area.right, line + _LINE_GAPS[-1] + high)
    points, steps = (matrix([box for box in near if box.overlap(reach)]) for near in (marks, strokes))
    places: list[LineLabel] = []
    liked_less: list[float] = []
    for text in (full, name):
        wide = text_width(text, LABEL) + 4
        room = canvas.area.right - wide
        lefts = np.linspace(0.0, room, max(2, round(room / _STRIDE)))
        for left, above, gap in product(lefts.tolist(), (True, False), _LINE_GAPS):
            bottom = line + gap if above else line - gap - high
            box = Box(left, bottom, left + wide, bottom + high)
            x = left / room if left in (0.0, room) else (left + wide / 2) / canvas.area.right
            places.append(LineLabel(text, height, x, above, gap, box))
            inwards = _INWARDS * min(left, room - left) + _BARE * (text == name)
            outside = 0.0 if box.inside(canvas.area) else 1e6
            liked_less.append((left > room / 2) + 2 * (not above) + gap + inwards + outside)
    boxes = [place.box for place in places]
    cost = (
        _OVER_A_MARK * each_covered(boxes, points)
        + each_covered(boxes, steps)
        + 10 * each_covered(boxes, matrix(taken))
    )
    return places[int(np.argmin(cost + liked_less))]


def _corner_box(data: FrontData, canvas: Canvas) -> Box:
    right, top = better_corner(data.front)
    wide, high = text_width(BETTER[right, top], LABEL) + 4, LABEL * LINE_HEIGHT + 4
    left, bottom = (canvas.area.right - wide if right else 0.0), (canvas.area.top - high if top else 0.0)
    return Box(left, bottom, left + wide, bottom + high)


def _round_box(mark: Mark, across: float, canvas: Canvas) -> Box:
    """What a mark, or its ring, of so many pixels across takes up."""
    x, y = canvas.pixel(mark.x, mark.y)
    return Box(x, y, x, y).grown(across / 2 + 2)


def _whisker_box(mark: Mark, canvas: Canvas) -> Box:
    x, low = canvas.pixel(mark.x, mark.y if mark.low is None else mark.low)
    _, high = canvas.pixel(mark.x, mark.y if mark.high is None else mark.high)
    return Box(x - 3, low, x + 3, high)


def _segment(a: tuple[float, float], b: tuple[float, float]) -> Box:
    (x0, x1), (y0, y1) = sorted((a[0], b[0])), sorted((a[1], b[1]))
    return Box(x0, y0, x1, y1).grown(2)
