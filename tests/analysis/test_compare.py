"""Results side by side: paired where that is possible, and why not where it isn't."""

from dataclasses import replace

import pytest

from engine.analysis.compare import against, letters, same
from tests.made_rows import sweep

ROWS, ITEMS = sweep()
DENSE, EIGHT, FOUR, TWO = ROWS[:4]
RECORDED = [replace(row, recorded=True) for row in ROWS]


def items_of(trial: str):
    return ITEMS[trial]


def refuse(trial: str):
    raise AssertionError(f"the answers of {trial} were read")


def test_against_the_original_nothing_is_read_again() -> None:
    found = against(FOUR, DENSE, refuse)
    assert found.estimate("accuracy_change") == pytest.approx(
        tuple(FOUR.metrics[f"accuracy_change{end}"] for end in ("", "_low", "_high"))
    )
    assert found.metrics["flips_to_wrong"] == FOUR.metrics["flips_to_wrong"] == 8


def test_against_another_base_both_answers_are_paired() -> None:
    found = against(TWO, FOUR, items_of)
    assert found.estimate("accuracy_change").value == pytest.approx(0.31 - 0.46)  # type: ignore[union-attr]
    assert (found.metrics["flips_to_wrong"], found.metrics["flips_to_right"]) == (30, 0)
    assert found.verdict is not None
    assert (found.verdict.standing, found.verdict.questions) == ("worse", 200)


def test_equal_answers_are_not_distinguishable() -> None:
    verdict = against(EIGHT, DENSE, refuse).verdict
    assert verdict is not None
    assert verdict.standing == "not distinguishable"


def test_the_base_is_not_compared_with_itself() -> None:
    found = against(FOUR, replace(FOUR), refuse)
    assert not found.paired
    assert (found.missing, found.verdict) == ("", None)


def test_another_comparison_and_another_origin_are_never_paired() -> None:
    assert "another model" in against(replace(FOUR, comparison_id="other"), DENSE, refuse).missing
    assert "recorded" in against(RECORDED[2], DENSE, refuse).missing
    assert not same(RECORDED[2], FOUR)


def test_recorded_results_are_paired_with_the_original_only() -> None:
    assert against(RECORDED[2], RECORDED[0], refuse).paired
    assert "single answers were not recorded" in against(RECORDED[2], RECORDED[1], lambda trial_id: {}).missing


def test_an_original_without_answers_says_so() -> None:
    bare = replace(FOUR, metrics={"weight_bytes": 1.0}, reasons={"accuracy_change": "nothing was asked"})
    assert against(bare, DENSE, refuse).missing == "nothing was asked"


def test_results_are_called_by_letters() -> None:
    assert letters(ROWS[:3]) == ["A", "B", "C"]
