"""The ladder's figure: every line once, hollow where simulated, dotted where nothing reaches, with its key."""

from engine.analysis import ladder
from engine.plots.ladder import key_of, ladder_data, ladder_figure
from tests.analysis.test_ladder import DENSE, EIGHT, FOUR, ROWS, TWO

RUNGS = ladder.rungs(ROWS, "group")
GOALS = ladder.goals(RUNGS)


def test_lines_are_numbered_and_goals_follow() -> None:
    lines = ladder_data(RUNGS, GOALS)
    assert [line.key for line in lines] == ["d", "8", "4", "2", "5x", "10x"]
    assert [line.name for line in lines[:2]] == ["1 · Original", "2 · 8-bit"]
    assert lines[-1].megabytes == 32
    assert [line.same for line in lines] == [100, 98, 70, 10, None, None]


def test_bars_are_bytes_and_a_click_finds_the_line() -> None:
    bars, marks = ladder_figure(RUNGS, GOALS, "4").data
    assert list(bars.x) == [320, 200, 160, 80, 64, 32]
    assert list(bars.customdata) == [row.trial_id for row in (DENSE, EIGHT, FOUR, TWO)] + [*map(key_of, GOALS)]
    assert list(marks.customdata) == ["d", "8", "4", "2"]
    assert marks.marker.symbol[-1].endswith("-open-dot")
    assert bars.marker.color[3] != bars.marker.color[2]


def test_goals_are_dotted_and_the_chosen_line_has_a_band() -> None:
    shapes = ladder_figure(RUNGS, GOALS, "4").layout.shapes
    assert sum(shape.line.dash == "dot" and shape.type == "rect" for shape in shapes) == 2
    assert [shape.y0 for shape in shapes if shape.line.width == 0] == [2 - 0.47]
    assert not [shape for shape in ladder_figure(RUNGS, GOALS, "").layout.shapes if shape.line.width == 0]


def test_a_narrow_one_has_the_words_as_numbers() -> None:
    figure = ladder_figure(RUNGS, GOALS, "4", "dark", compact=True)
    assert len(figure.data) == 1
    assert any("70% same word" in note.text for note in figure.layout.annotations)
