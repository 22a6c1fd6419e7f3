"""Bars side by side: every result by letter and hue, intervals, parts that add up."""

from dataclasses import replace

import pytest

from engine.plots.compare import MEAN, bytes_figure, part_data, task_data, task_figure
from engine.plots.palette import ink, mixed
from tests.made_rows import row, sweep

ROWS = sweep()[0]
CHOSEN = [ROWS[0], ROWS[1], ROWS[2], ROWS[5]]
PARTS = {"linears_bytes": 60e6, "embedding_bytes": 30e6, "head_bytes": 0.0, "scales_zeros_bytes": 4e6,
         "norms_bytes": 1e6, "other_bytes": 2e6}  # fmt: skip


def test_tasks_stand_below_their_mean_with_intervals_in_percent() -> None:
    lines = task_data(CHOSEN)
    assert [line.label for line in lines] == [MEAN, "PIQA", "OpenBookQA"]
    four = lines[0].bars[2]
    assert four is not None
    assert four.value == pytest.approx(46)
    assert four.low < 46 < four.high
    assert lines[0].guessing == pytest.approx(30)


def test_a_task_that_one_was_not_asked_leaves_its_bar_out_and_there_is_no_mean() -> None:
    other = replace(ROWS[2], protocol={**ROWS[2].protocol, "tasks": ["piqa"]}, metrics={
        name: value for name, value in ROWS[2].metrics.items() if "openbookqa" not in name
    })  # fmt: skip
    lines = task_data([ROWS[0], other])
    assert [line.label for line in lines] == ["PIQA", "OpenBookQA"]
    assert lines[1].bars[0] is not None
    assert lines[1].bars[1] is None


def test_one_task_has_no_mean() -> None:
    single = replace(ROWS[0], protocol={**ROWS[0].protocol, "tasks": ["piqa"]})
    assert [line.label for line in task_data([single])] == ["PIQA"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_bar_has_its_letter_and_no_two_results_look_alike(theme) -> None:
    figure = task_figure(CHOSEN, theme=theme)
    assert [trace.name for trace in figure.data] == ["A", "B", "C", "D"]
    assert all(set(trace.text) == {trace.name} for trace in figure.data)
    assert len({trace.marker.color for trace in figure.data}) == 4
    assert figure.data[1].marker.line.color == figure.data[2].marker.line.color == "#0072B2"
    assert all(trace.error_x.array is not None for trace in figure.data)


def test_names_can_not_inject_markup() -> None:
    shown = bytes_figure([row(metrics=PARTS)], ["<b>x</b>%{y}"]).data[0].y[0]
    assert "<b>x" not in shown
    assert "%{" not in shown


def test_parts_add_up_and_small_ones_are_one() -> None:
    parts = part_data(row(metrics=PARTS))
    assert [(s.part, s.megabytes) for s in parts] == [
        ("linears", 60), ("embedding", 30), ("scales_zeros", 4), ("rest", 3)
    ]  # fmt: skip


def test_a_stacked_bar_names_its_large_parts_and_its_total() -> None:
    figure = bytes_figure([row(metrics=PARTS)], ["4-bit"])
    assert [trace.name for trace in figure.data] == ["Linears", "Embedding", "Scales and zeros", "Norms and other"]
    assert figure.data[0].text[0] == "Linears 60.0 MB"
    assert figure.data[3].text[0] in ("", "3.00 MB")
    assert [note.text for note in figure.layout.annotations] == ["97.0 MB"]


def test_a_stacked_bar_of_a_tiny_model_counts_in_kilobytes() -> None:
    figure = bytes_figure([row(metrics={"linears_bytes": 70_300.0, "norms_bytes": 1_024.0})], ["4-bit"])
    assert figure.data[0].text[0] == "Linears 70.3 kB"
    assert figure.data[0].hovertext[0] == "Linears: 70.3 kB"
    assert [note.text for note in figure.layout.annotations] == ["71.3 kB"]


def test_colours_are_mixed_channel_by_channel() -> None:
    assert mixed("#FF0000", "#0000FF", 0.5) == "#800080"
    assert mixed("#123456", "#FFFFFF", 1.0) == "#123456"
    assert (ink("#123456"), ink("#FFFFFF")) == ("#FFFFFF", "#000000")
