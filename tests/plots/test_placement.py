from itertools import combinations, product

import numpy as np
import pytest

from engine.plots.placement import Box, Placed, Wanted, place, text_width, wrap

AREA = Box(0, 0, 700, 400)


def test_overlap_by_hand() -> None:
    assert Box(0, 0, 4, 3).overlap(Box(2, 1, 9, 9)) == 4
    assert Box(0, 0, 1, 1).overlap(Box(1, 0, 2, 1)) == 0


@pytest.mark.parametrize("seed", range(10))
def test_labels_cover_no_label_and_stay_inside(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.uniform((20, 20), (680, 380), (15, 2))
    wanted = [Wanted(str(n), x, y, ("4-bit, groups of 64",), 13) for n, (x, y) in enumerate(points)]
    marks = [Box(x - 7, y - 7, x + 7, y + 7) for x, y in points]
    placed = place(wanted, AREA, marks, [], [Box(0, 370, 80, 400)], 7)
    assert 3 <= len(placed) <= 7
    assert all(label.box.inside(AREA) for label in placed)
    assert not any(a.box.overlap(b.box) for a, b in combinations(placed, 2))
    assert not any(label.box.overlap(Box(0, 370, 80, 400)) for label in placed)
    assert all(sum(label.box.overlap(mark) for mark in marks) < 20 for label in placed)


@pytest.mark.parametrize("seed", range(10))
def test_the_line_to_a_label_that_lies_apart_crosses_no_label(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.uniform((300, 150), (400, 250), (15, 2))
    wanted = [Wanted(str(n), x, y, ("8-bit + 4-bit",), 13) for n, (x, y) in enumerate(points)]
    placed = place(wanted, AREA, [Box(x - 7, y - 7, x + 7, y + 7) for x, y in points], [], [], 7)
    lines = [(one, _line(one)) for one in placed if one.led]
    assert lines
    for (one, line), other in product(lines, placed):
        assert one is other or not any(other.box.overlap(Box(x, y, x + 0.1, y + 0.1)) for x, y in line)


def _line(label: Placed) -> list[list[float]]:
    """Points along the line from a label's point to where plotly is told to put its nearest edges."""
    box, at = label.box, (label.wanted.x, label.wanted.y)
    sides = zip(at, (box.left, box.bottom), (box.right, box.top), strict=True)
    end = [low if here <= low else high if here >= high else (low + high) / 2 for here, low, high in sides]
    return np.linspace(at, end, 100).tolist()


def test_a_lone_label_stands_right_of_its_point_without_a_line() -> None:
    (label,) = place([Wanted("a", 100, 100, ("8-bit",), 13)], AREA, [], [], [], 7)
    assert label.box.left == 110
    assert not label.led


def test_what_does_not_fit_is_dropped_even_if_needed() -> None:
    assert place([Wanted("a", 5, 5, ("far too long",), 13, needed=True)], Box(0, 0, 20, 20), [], [], [], 7) == []


def test_a_needed_label_may_cover_marks_and_others_may_not() -> None:
    everywhere = [AREA]
    for needed in (True, False):
        wanted = [Wanted("a", 100, 100, ("8-bit",), 13, needed)]
        assert bool(place(wanted, AREA, everywhere, [], [], 7)) is needed


def test_wrap() -> None:
    assert wrap("10% of the width sliced", 12) == ("10% of the", "width sliced")
    assert wrap("one two three four", 5, 2) == ("one", "two…")
    assert wrap("anywhere from 99.7 to 113 MB", 24) == ("anywhere from 99.7 to", "113 MB")
    assert text_width("mm", 10) > text_width("ii", 10)
