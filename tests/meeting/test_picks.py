"""Picks: the smallest within a margin, the best that fits, and what is said where there is none."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from engine.analysis.front import Front, find_front
from engine.meeting.picks import Choice, choose, fits, recommended, within
from engine.meeting.terms import Terms
from engine.outcome.row import Row
from tests.made_rows import row

GUESS = {"accuracy_chance": 0.2, "accuracy_low": 0.45}


def made(trial: str, recipe: str, megabytes: float, accuracy: float, lost: float, memory: float, **more: bool) -> Row:
    """A result whose accuracy may be `lost` below the original's at most."""
    metrics = {"weight_bytes": megabytes * 1e6, "accuracy": accuracy, "accuracy_change_low": -lost}
    metrics |= {"accuracy_change": accuracy - 0.5, "accuracy_change_high": 0.0, "peak_memory_bytes": memory * 1e9}
    return replace(row(recipe, trial * 16, metrics={**metrics, **GUESS}), **more)


def with_metric(name: str, values: Sequence[float]) -> list[Row]:
    """The rows below with one more metric, a value each."""
    return [replace(one, metrics={**one.metrics, name: value}) for one, value in zip(ROWS, values, strict=True)]


ROWS = [
    made("0", "dense", 270, 0.50, 0.0, 0.4),
    made("1", "quantize:rtn,bits=8", 160, 0.50, 0.015, 0.3),
    made("2", "quantize:rtn,bits=4", 110, 0.49, 0.021, 0.2),
    made("3", "quantize:rtn,bits=3", 90, 0.49, 0.010, 0.1, simulated=True),
    made("4", "prune:layers,count=6", 200, 0.42, 0.12, 0.25),
]


@pytest.fixture
def front() -> Front:
    return find_front(ROWS)


def test_the_smallest_within_a_margin_is_one_whose_whole_interval_lies_within(front: Front) -> None:
    assert within(front, 2.0) is ROWS[1]
    assert within(front, 2.1) is ROWS[2]
    assert within(front, 1.0) is ROWS[0]


def test_a_simulated_result_is_no_pick(front: Front) -> None:
    assert within(front, 20.0) is ROWS[2]
    assert fits(front, 0.15e9) is None


def test_the_best_that_fits_has_the_highest_quality_and_then_the_least_weight(front: Front) -> None:
    assert fits(front, 1e9) is ROWS[1]
    assert fits(front, 0.26e9) is ROWS[2]


def test_next_words_are_held_against_the_margin_where_the_front_shows_them() -> None:
    rows = with_metric("top1_agreement", (1.0, 0.985, 0.979, 0.9, 0.5))
    front = find_front(rows, "weight_bytes", "top1_agreement")
    assert within(front, 2.0) is rows[1]
    assert "next word 98% of the time" in choose(front, Terms(("within",)))[0].why


def test_one_result_under_two_picks_stands_once(front: Front) -> None:
    choices = choose(front, Terms(("within", "fits", "original"), memory_gb=1))
    assert [choice.name for choice in choices] == ["Smallest within 2 points, best that fits 1 GB", "The original"]
    assert choices[0].why == (
        "The smallest that is shown to stay within 2 points of the original's accuracy, at 95% confidence. "
        "The best that was measured to run in 1 GB."
    )
    assert recommended(choices) is choices[0]


def test_a_pick_that_is_not_there_says_why_and_is_not_recommended(front: Front) -> None:
    choices = choose(front, Terms(("fits", "f" * 16, ROWS[4].trial_id), memory_gb=0.01))
    assert [choice.row for choice in choices] == [None, None, ROWS[4]]
    assert [choice.why for choice in choices[:2]] == [
        "Nothing was measured to run in 0.01 GB.",
        "It is not on these axes.",
    ]
    assert recommended(choices) == Choice("Chosen", ROWS[4], "Chosen by hand.")


def test_where_only_the_original_is_within_that_is_said(front: Front) -> None:
    (found,) = choose(front, Terms(("within",), points=1))
    assert found.name == "Smallest within 1 point"
    said = found.why
    assert said == "No smaller result is shown to stay within 1 point of the original's accuracy, at 95% confidence."


def test_a_quality_without_points_keeps_only_the_original_within_and_the_best_by_its_own_direction() -> None:
    rows = with_metric("perplexity", (22.0, 21.0, 30.0, 20.0, 50.0))
    front = find_front(rows, "weight_bytes", "perplexity")
    assert within(front, 50.0) is rows[0]
    assert fits(front, 1e9) is rows[1]


def test_the_knee_is_a_pick_where_there_is_one(front: Front) -> None:
    assert front.knee is not None
    assert choose(front, Terms(("knee",)))[0].row is front.knee.row
    alone = find_front(ROWS[:1])
    assert choose(alone, Terms(("knee",))) == [
        Choice("The knee", None, "No knee: quality falls evenly, or too few results differ.")
    ]


def test_a_simulated_knee_gives_way_to_the_next_smaller_step_that_runs() -> None:
    rows = [
        made("0", "dense", 270, 0.50, 0.0, 0.4),
        made("1", "quantize:rtn,bits=6", 140, 0.50, 0.001, 0.3, simulated=True),
        made("2", "quantize:rtn,bits=4", 110, 0.44, 0.08, 0.2),
        made("3", "quantize:rtn,bits=3", 90, 0.30, 0.22, 0.1),
    ]
    front = find_front(rows)
    assert front.knee is not None
    assert front.knee.row is rows[1]
    (found,) = choose(front, Terms(("knee",)))
    assert (found.name, found.row) == ("Next to the knee", rows[2])
    assert found.why.endswith("The result there is simulated; this is the next smaller one that runs.")


def test_a_simulated_knee_stays_where_nothing_smaller_runs() -> None:
    rows = [
        made("0", "dense", 270, 0.50, 0.0, 0.4),
        made("1", "quantize:rtn,bits=6", 140, 0.50, 0.001, 0.3, simulated=True),
        made("2", "quantize:rtn,bits=2", 90, 0.30, 0.22, 0.1, simulated=True),
    ]
    (found,) = choose(find_front(rows), Terms(("knee",)))
    assert (found.name, found.row) == ("The knee", rows[1])
