"""Parallel axes: every row has a place on each, logarithms, and what is missing is named."""

import math

import pytest

from engine.plots import parallel
from tests.made_rows import row, sweep

ROWS = sweep()[0]


def test_the_settings_that_differ_are_offered_after_the_family() -> None:
    assert parallel.choices(ROWS)[:4] == ["family", "bits", "fraction", "weight_bytes"]
    assert parallel.settings_of(ROWS[1:3]) == ["bits"]
    assert "peak_memory_bytes" not in parallel.choices(ROWS)


def test_a_setting_is_that_of_the_last_step_that_has_it() -> None:
    assert parallel.setting(row("quantize:rtn,bits=8 | quantize:rtn,bits=4"), "bits") == 4
    assert parallel.setting(ROWS[7], "fraction") == 0.1
    assert parallel.setting(ROWS[0], "bits") is None
    assert parallel.setting(row("quantize:rtn,bits=8,blocks=0 | quantize:rtn,bits=4"), "bits") is None


def test_what_lacks_a_setting_meets_the_axis_below_its_numbers_at_a_tick_that_says_so() -> None:
    axis = parallel.axes_of(ROWS, ["bits"])[0]
    assert axis.texts == ("none", "2", "4", "8")
    assert axis.places[:4] == (axis.ticks[0], 8, 4, 2)
    assert axis.ticks[0] == axis.ends[0] == pytest.approx(2 - 0.12 * 6)


def test_bytes_lie_on_a_logarithm_in_megabytes() -> None:
    axis = parallel.axes_of(ROWS, ["weight_bytes"])[0]
    assert axis.title == "Weights (MB)"
    assert axis.places[0] == pytest.approx(math.log10(269.030016))
    assert "none" not in axis.texts


def test_an_axis_has_a_tick_at_both_ends_so_that_it_is_drawn_as_far_as_its_lines_reach() -> None:
    for axis in parallel.axes_of(ROWS, ["weight_bytes", "accuracy", "bits", "decode_speedup"]):
        assert (axis.ticks[0], axis.ticks[-1]) == pytest.approx(axis.ends)
        assert len(axis.ticks) == len(axis.texts)
        assert list(axis.ticks) == sorted(axis.ticks)


def test_diverged_perplexities_are_held_at_the_limit() -> None:
    wild = row("quantize:rtn,bits=2", metrics={"perplexity": 5e5})
    assert max(parallel.axes_of([ROWS[0], wild], ["perplexity"])[0].places) == pytest.approx(3)


def test_the_family_is_an_axis_and_not_only_a_hue() -> None:
    axis = parallel.axes_of(ROWS, ["family"])[0]
    assert set(axis.texts) == {"Original", "Quantize", "Prune", "Slice", "Combined"}
    assert axis.texts[-1] == "Original"
    trace = parallel.parallel_figure(ROWS, ["family", "bits", "accuracy"]).data[0]
    assert [dimension.label for dimension in trace.dimensions] == ["Family", "Bits", "Accuracy (%)"]
    assert len(set(trace.line.color)) == 5


def test_a_phone_gets_fewer_axes_and_nothing_is_drawn_of_nothing() -> None:
    names = parallel.choices(ROWS)
    assert len(parallel.parallel_figure(ROWS, names, compact=True).data[0].dimensions) == parallel.MOST_COMPACT
    assert not parallel.parallel_figure([], names).data
