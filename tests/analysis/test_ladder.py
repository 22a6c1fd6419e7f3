"""The ladder: what stands on it, where it breaks, what lies below it, and about how large a recipe's file is."""

from itertools import pairwise

import pytest

from engine.analysis import ladder
from engine.outcome.row import Row
from engine.recorded import recorded
from engine.spec import DEFAULT_MODEL, parse
from engine.spec.recipe import named_blocks
from tests.made_rows import row

WHOLE = 320e6


def result(recipe: str, trial: str, size: float, same: float | None, **changes: object) -> Row:
    return row(recipe, trial, metrics={"weight_bytes": size, "top1_agreement": same}, **changes)


DENSE = row("dense", "d", metrics={
    "weight_bytes": WHOLE, "linears_bytes": 200e6, "embedding_bytes": 100e6, "head_bytes": 0.0
})  # fmt: skip
EIGHT = result("quantize:rtn,bits=8", "8", 200e6, 0.98)
FOUR = result("quantize:rtn,bits=4", "4", 160e6, 0.7)
WORSE = result("prune:layers,count=3", "w", 180e6, 0.6)
TWO = result("quantize:rtn,bits=2", "2", 80e6, 0.1, simulated=True)
GRID = result("quantize:rtn,bits=4,group_size=32,symmetric=false", "g", 150e6, 0.99)
ROWS = [TWO, DENSE, WORSE, EIGHT, GRID, FOUR, row("quantize:rtn,bits=3", "f", state="failed")]


def test_a_rung_is_what_no_smaller_result_matches_and_never_flattered() -> None:
    found = ladder.rungs(ROWS, "group")
    assert [rung.row for rung in found] == [DENSE, EIGHT, FOUR, TWO]
    assert [rung.ratio for rung in found] == [1, 1.6, 2, 4]
    assert [rung.standing for rung in found] == ["original", "close", "changed", "broken"]
    assert ladder.last_whole(found).row is FOUR


def test_a_rungs_name_tells_it_from_results_that_stand_on_no_rung() -> None:
    gptq = result("quantize:gptq,bits=4", "q", 160e6, 0.6)
    names = [rung.name for rung in ladder.rungs([*ROWS, gptq], "group")]
    assert names == ["Original", "8-bit", "4-bit, round to nearest", "2-bit"]


def test_without_an_original_or_in_another_comparison_there_is_none() -> None:
    assert ladder.rungs([EIGHT, FOUR], "group") == []
    assert ladder.rungs(ROWS, "another") == []


def test_without_next_words_accuracy_decides_and_nothing_is_called_broken() -> None:
    rows = [
        row("dense", "d", metrics={"weight_bytes": WHOLE, "accuracy": 0.5}),
        row("quantize:rtn,bits=8", "8", metrics={"weight_bytes": 200e6, "accuracy": 0.4}),
        row("prune:layers,count=3", "w", metrics={"weight_bytes": 220e6, "accuracy": 0.3}),
    ]
    found = ladder.rungs(rows, "group")
    assert [rung.row.trial_id for rung in found] == ["d", "8"]
    assert found[1].standing == "not known"
    assert ladder.last_whole(found) is found[1]


def test_of_many_evenly_spaced_ones_stay_and_the_ends() -> None:
    sizes = [0.9**n * 300e6 for n in range(20)]
    rows = [result("quantize:rtn,bits=8", f"{n}", size, 0.9 - n / 100) for n, size in enumerate(sizes)]
    found = ladder.rungs([DENSE, *rows], "group")
    assert len(found) == ladder.MOST
    assert found[0].row is DENSE
    assert found[-1].row.value("weight_bytes") == sizes[-1]
    steps = [after.ratio / before.ratio for before, after in pairwise(found)]
    assert max(steps) / min(steps) < 1.25


def test_goals_are_what_lies_below_the_smallest() -> None:
    found = ladder.goals(ladder.rungs(ROWS, "group"))
    assert [(goal.ratio, goal.bytes, goal.bits_per_weight) for goal in found] == [(5, 64e6, 3.2), (10, 32e6, 1.6)]


def test_the_summary_names_both_baselines_and_what_is_not_reached() -> None:
    found = ladder.rungs(ROWS, "group")
    said = ladder.summary(found, ladder.goals(found))
    assert "down to 4-bit, 2.0x smaller than bf16 and 4.0x than fp32" in said
    assert "2-bit (simulated), is 4.0x and broken" in said
    assert "Nothing measured is 10 times smaller, 32.0 MB." in said
    assert ladder.step_down(found[1], found[2]).endswith("70% of the time instead of 98%.")


def test_proposals_reach_the_goal_and_are_new() -> None:
    goal = ladder.Goal(4.0, 80e6)
    found = ladder.proposals(goal, ROWS, DENSE)
    assert found
    assert all(one.bytes <= goal.bytes for one in found)
    again = ladder.proposals(goal, [*ROWS, row(found[0].recipe.text, "n")], DENSE)
    assert found[0].recipe not in [one.recipe for one in again]


def test_bytes_by_hand() -> None:
    assert ladder.about_bytes(parse("quantize:rtn,bits=4,group_size=64"), DENSE) == 120e6 + 200e6 * 4.25 / 16
    both = parse("slice:slicegpt,fraction=0.5 | quantize:rtn,bits=8,group_size=-1,targets=linears+embedding")
    assert ladder.about_bytes(both, DENSE) == 0.5 * (20e6 + 300e6 / 2)


def test_about_bytes_are_within_two_percent_of_what_was_recorded() -> None:
    rows = [one for one in recorded() if one.model == DEFAULT_MODEL and one.metrics]
    dense = next(one for one in rows if one.recipe == "dense")
    steps_of = {one.recipe: parse(one.recipe).steps for one in rows}
    known = [
        one
        for one in rows
        if all(step.family in ("quantize", "slice") and not named_blocks(step) for step in steps_of[one.recipe])
    ]
    assert len(known) > 5
    for one in known:
        assert ladder.about_bytes(parse(one.recipe), dense) == pytest.approx(one.value("weight_bytes"), rel=0.02)
