"""Bars of time: parts that add up to what was measured, the original's beside, and no bar without parts."""

import pytest

from engine.analysis.passes import Pair, passes
from engine.plots.pass_time import PARTS, TimeBar, time_data, time_figure
from tests.analysis.test_passes import DENSE, FOUR, LIMITS

WORD = passes(FOUR, DENSE, LIMITS)["decode"]
PROMPT = passes(FOUR, DENSE, LIMITS)["prefill"]


def test_a_bar_holds_reading_arithmetic_and_the_rest() -> None:
    ours, original = time_data(WORD)
    assert ours == TimeBar("This result", (4.25, 0.0, 25.75))
    assert original.parts_ms == pytest.approx((10.0, 0.0, 23.0))
    assert (ours.ms, original.ms) == pytest.approx((30.0, 33.0))


def test_dense_stands_alone() -> None:
    alone = time_data(passes(DENSE, DENSE, LIMITS)["decode"])
    assert [bar.name for bar in alone] == ["Result"]


def test_what_can_not_be_split_has_no_bar() -> None:
    assert time_data(passes(FOUR, DENSE, None)["decode"]) == []
    untimed = Pair(WORD.ours._replace(took_ms=None), WORD.original)
    assert [bar.name for bar in time_data(untimed)] == ["Original"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_parts_stand_in_order_in_shades_of_the_text(theme) -> None:
    figure = time_figure(PROMPT, theme=theme)
    assert tuple(trace.name for trace in figure.data) == PARTS
    assert len({trace.marker.color for trace in figure.data}) == 3
    assert [sum(trace.x[bar] for trace in figure.data) for bar in (0, 1)] == pytest.approx([400.0, 300.0])
    assert [note.text for note in figure.layout.annotations] == ["400 ms", "300 ms"]


def test_large_parts_carry_their_time_and_every_part_its_meaning_on_hover() -> None:
    figure = time_figure(PROMPT)
    assert [list(trace.text) for trace in figure.data] == [["", ""], ["201 ms", "195 ms"], ["195 ms", "94.8 ms"]]
    assert "the weights and the cache" in figure.data[0].hovertext[0]
