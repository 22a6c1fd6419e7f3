"""Places text beside points so that nothing is covered: direct labels instead of a legend.

Everything is in pixels of the plot area, x to the right and y upwards. Labels are placed one after another, the most
important first; each takes the free place that costs least and is dropped where every place would cover a label.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.typesetting import NO_BREAK, unbroken

LINE_HEIGHT = 1.3  # of the font size
_WIDE, _NARROW = frozenset("mwMWGOQ%@…"), frozenset("ijl.,:;'|!()[] fr1t-·")


class Box(NamedTuple):
    """A rectangle; left <= right and bottom <= top."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """The area both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    def grown(self, by: float) -> "Box":
        return Box(self.left - by, self.bottom - by, self.right + by, self.top + by)

    def inside(self, other: "Box") -> bool:
        within_x = self.left >= other.left and self.right <= other.right
        return within_x and self.bottom >= other.bottom and self.top <= other.top


@dataclass(frozen=True)
class Wanted:
    """A label for the point at (x, y): its lines of text, its font size, and whether it must be shown at any cost."""

    key: str
    x: float
    y: float
    lines: tuple[str, ...]
    font_size: float
    needed: bool = False


@dataclass(frozen=True)
class Placed:
    """Where a label's box lies, and whether it is so far from its point that a line must lead to it."""

    wanted: Wanted
    box: Box
    led: bool


def text_width(text: str, font_size: float) -> float:
    """Roughly how wide a semibold line is drawn, rather more than less."""
    return font_size * sum(0.9 if c in _WIDE else 0.36 if c in _NARROW else 0.6 for c in text)


def wrap(text: str, characters: int, most: int = 3) -> tuple[str, ...]:
    """The text in lines of about so many characters, broken at spaces, but none before a number's unit.

    An ellipsis ends it after `most` lines.
    """
    lines = [""]
    for word in unbroken(" ".join(text.split())).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= characters or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1].rstrip(",") + "…"]
    return tuple(line.replace(NO_BREAK, " ") for line in lines)


def place(
    wanted: Iterable[Wanted], area: Box, marks: Sequence[Box], lines: Sequence[Box], taken: Sequence[Box], most: int
) -> list[Placed]:
    """At most `most` labels that cover no other label, in the order wanted.

    area: where labels may lie. marks: points and whiskers, not to be covered; lines: the step line and reference lines,
    better not covered; taken: boxes of text that is there already.
    """
    placed: list[Placed] = []
    obstacles, strokes = matrix(marks), matrix(lines)
    for label in wanted:
        if len(placed) == most:
            break
        texts = [*taken, *(p.box for p in placed)]
        costs = [
            (3 * covered(box, obstacles) + 0.25 * covered(box, strokes) + preference, box, led)
            for box, preference, led in _places(label)
            if box.inside(area) and not any(box.grown(2).overlap(text) for text in texts)
        ]
        for cost, box, led in sorted(costs, key=lambda c: c[0]):
            line = _leader(label, box) if led else []
            if any(part.overlap(text) for part in line for text in texts):
                continue
            if cost < _COVERED or label.needed:
                placed.append(Placed(label, box, led))
                obstacles = np.hstack([obstacles, matrix(line)])
            break
    return placed


_COVERED = 60.0  # square pixels of marks under a label that make it not worth showing
_GAPS = ((10.0, False), (26.0, True), (46.0, True), (72.0, True))  # pixels between a point and its label; whether led

_PARTS = 24  # boxes of a label's line, which is at most 100 pixels long


def _places(label: Wanted) -> Iterable[tuple[Box, float, bool]]:
    """Boxes around the point, with how much less each is liked than the first: near before far, right before left."""
    width = max(text_width(line, label.font_size) for line in label.lines)
    height = LINE_HEIGHT * label.font_size * len(label.lines)
    for near, (gap, led) in enumerate(_GAPS):
        slant = gap * 0.7
        corners = (
            (label.x + gap, label.y - height / 2),
            (label.x + slant, label.y + slant),
            (label.x + slant, label.y - slant - height),
            (label.x - width / 2, label.y + gap),
            (label.x - width / 2, label.y - gap - height),
            (label.x - slant - width, label.y + slant),
            (label.x - slant - width, label.y - slant - height),
            (label.x - gap - width, label.y - height / 2),
        )
        for rank, (left, bottom) in enumerate(corners):
            yield Box(left, bottom, left + width, bottom + height), 12.0 * near + rank, led


def _leader(label: Wanted, box: Box) -> list[Box]:
    """The line from a point to its label, which ends at the label's nearest edges, as small boxes along it."""
    x, y = _edge(label.x, box.left, box.right), _edge(label.y, box.bottom, box.top)
    parts = np.linspace((label.x, label.y), (x, y), _PARTS).tolist()
    return [Box(a, b, a, b).grown(2) for a, b in parts]


def _edge(at: float, low: float, high: float) -> float:
    """Where a line that comes from `at` meets the side from low to high: at its nearer end, or at its middle."""
    return low if at <= low else high if at >= high else (low + high) / 2


def matrix(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """The boxes as [4, boxes]: left, bottom, right, top."""
    return np.array(boxes, dtype=np.float64).reshape(-1, 4).T


def covered(box: Box, others: NDArray[np.float64]) -> float:
    """The area of the box that the others [4, boxes] cover, each counted for itself."""
    return float(each_covered([box], others)[0])


def each_covered(boxes: Sequence[Box], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area of each box that the others [4, others] cover, each of these counted for itself: [boxes]."""
    left, bottom, right, top = matrix(boxes)[:, :, None]
    width = np.minimum(right, others[2]) - np.maximum(left, others[0])
    height = np.minimum(top, others[3]) - np.maximum(bottom, others[1])
    area: NDArray[np.float64] = (np.maximum(width, 0) * np.maximum(height, 0)).sum(axis=1)
    return area
