"""A decision in words: what to use, what is gained, what it costs and what breaks."""

from dataclasses import replace

import pytest

from engine.analysis.front import FLATTERED_NOTE, find_front
from engine.meeting.decision import Decision, Units, decide, units
from engine.meeting.terms import Terms
from engine.outcome.row import Row
from tests.made_rows import row, sweep

ROWS = sweep()[0]
DENSE, EIGHT, FOUR, TWO = ROWS[:4]
FRONT = find_front(ROWS)


def with_metrics(found: Row, **metrics: float) -> Row:
    return replace(found, metrics={**found.metrics, **metrics})


def test_a_decision_names_gain_cost_and_what_breaks() -> None:
    assert decide(FOUR, FRONT) == Decision(
        "4-bit, round to nearest, groups of 64",
        "2.4x smaller (113 MB, was 269 in bf16). 1.5x faster per word.",
        "Keeps 92% ± 6 of accuracy; guessing would keep 60%. Perplexity 44.8, was 21.6.",
        "4.0% of 200 answers are different now: 8 went wrong, 0 came right. One step smaller, 10% of the width sliced "
        "+ 4-bit: accuracy 43.0%, here 46.0%.",
    )


def test_the_memory_stands_beside_the_originals() -> None:
    rows = [with_metrics(DENSE, peak_memory_bytes=4e8), with_metrics(FOUR, peak_memory_bytes=2e8)]
    assert decide(rows[1], find_front(rows)).gain.endswith("Runs in 0.20 GB of memory, the original 0.40 GB.")
    alone = [DENSE, rows[1]]
    assert decide(rows[1], find_front(alone)).gain.endswith("Runs in 0.20 GB of memory.")


def test_the_smallest_of_the_front_has_nothing_below_it() -> None:
    assert decide(TWO, FRONT).breaks.endswith("No smaller result stands on the front.")


def test_a_smaller_result_of_the_same_width_is_told_apart_by_its_method() -> None:
    below = replace(row("quantize:awq,bits=4", metrics={"weight_bytes": 100e6, "accuracy": 0.45}))
    said = decide(FOUR, find_front([DENSE, FOUR, below])).breaks
    assert said.endswith("One step smaller, 4-bit, AWQ: accuracy 45.0%, here 46.0%.")


def test_which_answers_changed_is_said_even_where_the_original_guesses() -> None:
    guessing = with_metrics(DENSE, accuracy_chance=0.9)
    said = decide(FOUR, find_front([guessing, FOUR])).breaks
    assert said.startswith("4.0% of 200 answers are different now: 8 went wrong, 0 came right.")


def test_the_models_own_grid_is_named() -> None:
    own = row("quantize:rtn,bits=4,group_size=32,symmetric=false", metrics={"weight_bytes": 1e8, "accuracy": 0.5})
    assert decide(own, find_front([DENSE, own])).breaks.endswith(FLATTERED_NOTE)
    assert FLATTERED_NOTE not in decide(FOUR, FRONT).breaks


def test_to_keep_the_original_is_a_decision_too() -> None:
    assert decide(DENSE, FRONT) == Decision(
        "Keep the original model",
        "269 MB in bf16. Nothing is saved.",
        "Nothing. Answers 50.0% right; guessing gets 30.0%.",
        "Nothing changes.",
    )


@pytest.mark.parametrize(("memory_gb", "fits"), [(0.2, "fits"), (0.19, "does not fit")])
def test_figures_in_a_stakeholders_units(memory_gb: float, fits: str) -> None:
    rows = [
        with_metrics(DENSE, decode_tokens_per_s=20.0),
        with_metrics(FOUR, peak_memory_bytes=2e8, decode_speedup=5.0),
    ]
    found = units(rows[1], find_front(rows), Terms(memory_gb=memory_gb, price_per_hour=0.36))
    assert found == Units("113 MB", "46.0%", "0.20 GB", fits, "100", "1.00")


def test_unknown_figures_are_dashes() -> None:
    assert units(TWO, FRONT, Terms()) == Units("86.1 MB", "31.0%", "–", "–", "–", "–")
