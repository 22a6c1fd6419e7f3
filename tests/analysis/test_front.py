from dataclasses import replace

import pytest

from engine.analysis.front import (
    comparisons,
    find_front,
    flattered,
    guesses,
    may_be_picked,
    telling_quality,
    telling_score,
    whiskers,
)
from engine.errors import InputError
from engine.outcome.row import Row
from tests.made_rows import row, sweep

ROWS = sweep()[0]
OWN_GRID = "quantize:rtn,bits=4,group_size=32,symmetric=false"


def flattered_row() -> Row:
    metrics = {**ROWS[0].metrics, "weight_bytes": 100e6, "accuracy": 0.49}
    return row(OWN_GRID, "f" * 16, metrics=metrics)


def test_front_runs_from_the_smallest_up_and_leaves_dominated_results_out() -> None:
    found = find_front(ROWS)
    assert [r.recipe for r in found.best] == [ROWS[i].recipe for i in (3, 7, 2, 1)]
    assert len(found.points) == len(ROWS)
    assert found.dense is ROWS[0]


def test_simulated_results_stay_off_a_latency_front_with_their_reason() -> None:
    found = find_front(ROWS, "decode_speedup", "accuracy")
    assert not any(r.simulated for r in found.points)
    assert "simulated" in found.left_out[ROWS[3].trial_id]


@pytest.mark.parametrize("x", ["decode_ms_per_token", "peak_memory_bytes", "prefill_speedup"])
def test_a_simulated_result_is_left_out_even_where_a_value_is_there(x: str) -> None:
    one = row("quantize:rtn,bits=3", metrics={x: 5.0, "accuracy": 0.4}, simulated=True)
    assert find_front([one], x).best == ()


def test_a_front_holds_one_comparison_the_largest_unless_asked() -> None:
    others = [replace(r, comparison_id="other", trial_id=f"a{r.trial_id[1:]}") for r in ROWS[:2]]
    assert {r.comparison_id for r in find_front([*others, *ROWS]).points} == {"group"}
    assert [c.id for c in find_front([*others, *ROWS]).others] == ["other"]
    assert {r.comparison_id for r in find_front([*others, *ROWS], comparison="other").points} == {"other"}
    assert find_front(ROWS, comparison="nowhere").points == ()


def test_of_comparisons_of_one_size_the_newest_comes_first() -> None:
    some = {"accuracy": 0.5}
    old, new = (row(comparison_id=name, finished_at=at, metrics=some) for name, at in (("old", 1.0), ("new", 2.0)))
    assert [c.id for c in comparisons([old, new])] == ["new", "old"]


def test_only_finished_trials_stand_on_a_front() -> None:
    assert find_front([replace(r, state="running") for r in ROWS]).comparison is None


def test_missing_values_are_left_out_with_the_reason_that_was_given() -> None:
    one = row(metrics={"weight_bytes": 1.0, "accuracy": None}, reasons={"accuracy": "the disk was full"})
    assert find_front([one]).left_out == {one.trial_id: "no accuracy: the disk was full"}


@pytest.mark.parametrize(("x", "says"), [("weight_byte", "did you mean 'weight_bytes'"), ("questions", "no better")])
def test_an_axis_must_be_a_metric_with_a_direction(x: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        find_front(ROWS, x)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (OWN_GRID, True),
        ("quantize:rtn,bits=8,group_size=32,symmetric=false", True),
        (f"prune:layers,count=3 | {OWN_GRID}", True),
        (f"slice:slicegpt,fraction=0.1 | {OWN_GRID}", False),
        (f"prune:sparsegpt | {OWN_GRID}", False),
        (f"prune:wanda | {OWN_GRID}", True),
        (f"quantize:rtn,bits=3,blocks=0 | {OWN_GRID}", True),
        ("quantize:rtn,bits=4,group_size=64,symmetric=false", False),
        ("quantize:rtn,bits=4,group_size=32", False),
        ("quantize:rtn,bits=3,group_size=32,symmetric=false", False),
        ("quantize:hqq,bits=4,group_size=32", True),
        ("quantize:hqq,bits=4,group_size=64", False),
        ("quantize:hqq,bits=4,group_size=64,zero_points=fraction", True),  # a quarter of the groups of 32 are found
        ("quantize:hqq,bits=3,group_size=64,zero_points=fraction", False),
        ("quantize:hqq,bits=4,group_size=192,zero_points=fraction", False),
        ("dense", False),
    ],
)
def test_which_recipes_the_default_models_grid_flatters(recipe: str, expected: bool) -> None:
    assert flattered(row(recipe)) is expected
    assert not flattered(row(recipe, model="another"))


def test_a_flattered_result_stands_on_the_front_but_is_neither_the_knee_nor_picked() -> None:
    rows = [*ROWS, flattered_row()]
    found = find_front(rows)
    assert "f" * 16 in found.best_ids
    assert found.knee is not None
    assert "f" * 16 not in {r.trial_id for r in (found.knee.row, found.knee.low, found.knee.high)}
    assert [r for r in rows if not may_be_picked(r)] == [ROWS[3], ROWS[4], rows[-1]]  # the simulated, the flattered one


def test_whiskers_of_accuracy_are_the_paired_interval_around_dense() -> None:
    span = whiskers(ROWS[2], ROWS[0], "accuracy")
    assert span is not None
    assert span.low == pytest.approx(0.5 + (ROWS[2].value("accuracy_change_low") or 0))
    assert span.low < 0.46 < span.high < 0.5
    alone = whiskers(ROWS[2], None, "accuracy")
    assert alone == (ROWS[2].value("accuracy_low"), ROWS[2].value("accuracy_high"))
    assert whiskers(ROWS[2], ROWS[0], "perplexity") is None


def test_a_front_of_guesses_is_drawn_by_the_next_word_instead() -> None:
    guess = row(metrics={"accuracy": 0.3, "accuracy_low": 0.25, "accuracy_chance": 0.36, "top1_agreement": 1.0})
    sure = row(metrics={"accuracy": 0.5, "accuracy_low": 0.45, "accuracy_chance": 0.36, "top1_agreement": 1.0})
    small = row("quantize:rtn", trial="1" * 16, metrics={"accuracy": 0.31, "top1_agreement": 0.7})
    unasked = row("quantize:rtn", trial="1" * 16, metrics={"accuracy": 0.31})
    assert telling_quality([guess, small]) == "top1_agreement"
    assert telling_quality([guess, unasked]) == "accuracy"
    assert telling_quality([sure, small]) == "accuracy"


def test_answers_are_counted_by_length_where_only_so_the_original_does_better_than_guessing() -> None:
    guess = {"accuracy": 0.3, "accuracy_low": 0.25, "accuracy_chance": 0.36}
    known = row(metrics={**guess, "accuracy_norm": 0.5, "accuracy_norm_low": 0.4})
    assert (telling_quality([known]), guesses(known), guesses(known, "accuracy")) == ("accuracy_norm", False, True)
    neither = row(metrics={**guess, "accuracy_norm": 0.4, "accuracy_norm_low": 0.35})
    assert (telling_score(neither), guesses(neither)) == ("accuracy", True)
    assert telling_score(row(metrics={**known.metrics, "accuracy_low": 0.37})) == "accuracy"
    assert telling_score(row(metrics=guess)) == telling_score(None) == "accuracy"
