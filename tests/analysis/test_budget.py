"""The best result within a memory budget."""

from dataclasses import replace

from engine.analysis.budget import Fitting, best_by_budget, best_within
from engine.analysis.front import find_front
from engine.outcome.row import Row
from tests.made_rows import DENSE_BYTES, sweep

ROWS = sweep()[0]
DENSE, EIGHT, FOUR, TWO, ZEROS, LAYERS, SLICED, BOTH = ROWS


def best(rows: list[Row], budget_bytes: float, y: str = "accuracy") -> Fitting:
    return best_within(best_by_budget(find_front(rows, y=y)), budget_bytes)


def test_the_most_accurate_that_fits_is_found_and_of_equals_the_smaller() -> None:
    assert best(ROWS, DENSE_BYTES).row is EIGHT  # as accurate as dense, and smaller
    assert best(ROWS, 0.42 * DENSE_BYTES).row is FOUR


def test_where_nothing_fits_the_smallest_real_result_is_named() -> None:
    assert best(ROWS, 10e6) == Fitting(None, BOTH)  # 2 bits are smaller and simulated
    assert best([], 10e6) == Fitting(None, None)


def test_neither_simulated_nor_flattered_results_are_found() -> None:
    own = replace(FOUR, trial_id="f" * 16, recipe="quantize:rtn,bits=4,group_size=32,symmetric=false")
    own = replace(own, metrics={**own.metrics, "accuracy": 0.9})
    better = replace(TWO, metrics={**TWO.metrics, "accuracy": 0.8})
    assert best([*ROWS[:3], better, own], 0.42 * DENSE_BYTES).row is FOUR


def test_of_perplexity_the_lowest_is_best() -> None:
    assert best(ROWS, 0.42 * DENSE_BYTES, y="perplexity").row is FOUR
    assert best(ROWS, 0.4 * DENSE_BYTES, y="perplexity").row is BOTH
