"""The hypervolume of a front, by hand."""

import pytest

from engine.analysis.front import find_front
from engine.analysis.hypervolume import definition, hypervolume
from engine.outcome.row import Row
from tests.made_rows import row


def made(recipe: str, trial: int, **metrics: float) -> Row:
    return row(recipe, f"{trial:016x}", metrics=metrics)


DENSE = made("dense", 0, weight_bytes=200e6, accuracy=0.5, accuracy_chance=0.3, perplexity=20.0, decode_speedup=1.0)
HALF = made("quantize:rtn,bits=8", 1, weight_bytes=100e6, accuracy=0.45, perplexity=25.0, decode_speedup=1.25)
QUARTER = made("quantize:rtn,bits=4", 2, weight_bytes=50e6, accuracy=0.40, perplexity=40.0, decode_speedup=2.0)


def test_accuracy_counts_above_guessing_and_size_as_a_share() -> None:
    """From 0.25 to 0.5 of the size the front keeps 0.5 of what stands above guessing, from there to 1 it keeps 0.75."""
    assert hypervolume(find_front([DENSE, HALF, QUARTER])) == pytest.approx(0.25 * 0.5 + 0.5 * 0.75)


def test_perplexity_counts_as_the_originals_share_of_it() -> None:
    """20 / 40 = 0.5 from a quarter of the size on, 20 / 25 = 0.8 from half of it on."""
    found = find_front([DENSE, HALF, QUARTER], y="perplexity")
    assert hypervolume(found) == pytest.approx(0.25 * 0.5 + 0.5 * 0.8)


def test_where_more_is_better_the_inverse_counts() -> None:
    """Twice as fast takes half the time: 0.5 to 0.8 keeps 0.5, 0.8 to 1 keeps 0.75."""
    found = find_front([DENSE, HALF, QUARTER], "decode_speedup")
    assert hypervolume(found) == pytest.approx(0.3 * 0.5 + 0.2 * 0.75)
    assert "inverted since more is better" in definition(found)


def test_the_original_alone_has_none_and_dominated_results_add_none() -> None:
    assert hypervolume(find_front([DENSE])) == 0
    worse = made("prune:layers,count=3", 3, weight_bytes=110e6, accuracy=0.44)
    assert hypervolume(find_front([DENSE, HALF, worse])) == hypervolume(find_front([DENSE, HALF]))


def test_there_is_none_without_the_original_or_where_it_guesses() -> None:
    assert hypervolume(find_front([HALF, QUARTER])) is None
    guessing = made("dense", 0, weight_bytes=200e6, accuracy=0.3, accuracy_chance=0.36)
    assert hypervolume(find_front([guessing, HALF])) is None


def test_the_definition_names_both_axes_and_guessing() -> None:
    said = definition(find_front([DENSE, HALF]))
    assert "weights" in said
    assert "accuracy, above guessing" in said
