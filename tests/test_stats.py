import numpy as np
import pytest
from scipy.stats import binomtest

from engine import stats
from engine.stats import Pairs


@pytest.mark.parametrize(("right", "items"), [(0, 10), (3, 10), (10, 10), (123, 300)])
def test_wilson_equals_scipy(right: int, items: int) -> None:
    theirs = binomtest(right, items).proportion_ci(method="wilson")
    assert stats.wilson(right, items) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(("right", "items"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(right: int, items: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        stats.wilson(right, items)


def test_macro_accuracy_weighs_tasks_alike_and_of_one_task_is_wilson() -> None:
    assert stats.macro_accuracy([(50, 100), (3, 10)]).value == pytest.approx(0.4)
    assert stats.macro_accuracy([(30, 100)])[1:] == pytest.approx(stats.wilson(30, 100))


def test_pair_counts_the_four_outcomes() -> None:
    assert stats.pair([1, 1, 0, 0, 1], [1, 0, 1, 0, 1]) == Pairs(both=2, only_compressed=1, only_dense=1, neither=1)


@pytest.mark.parametrize(("ours", "theirs"), [([1], [1, 0]), ([], [])])
def test_pair_refuses_lists_that_do_not_pair(ours: list[int], theirs: list[int]) -> None:
    with pytest.raises(ValueError, match="paired"):
        stats.pair(ours, theirs)


def test_change_by_hand() -> None:
    """b = 5, c = 8 of 100: shares 6/102 and 9/102, so -3/102 ± 1.96 sqrt((15/102 - (3/102)^2) / 102)."""
    change = stats.accuracy_change([Pairs(both=37, only_compressed=5, only_dense=8, neither=50)])
    assert change == pytest.approx((-0.03, -0.1036132, 0.0447897), abs=1e-6)


def test_change_of_equal_tasks_has_the_interval_of_their_items_pooled() -> None:
    apart = stats.accuracy_change([Pairs(40, 3, 6, 51)] * 3)
    pooled = stats.accuracy_change([Pairs(120, 9, 18, 153)])
    assert apart == pytest.approx(pooled, abs=2e-4)


def test_answers_that_all_agree_leave_room_for_a_loss() -> None:
    change = stats.accuracy_change([Pairs(both=50, only_compressed=0, only_dense=0, neither=50)])
    assert change.value == 0
    assert -0.05 < change.low < -0.01 < 0.01 < change.high < 0.05


def test_retention_holds_one_exactly_when_change_holds_zero() -> None:
    random = np.random.default_rng(0)
    decided = 0
    for _ in range(300):
        tasks = [Pairs(*map(int, random.multinomial(100, [0.4, 0.06, 0.14, 0.4]))) for _ in range(2)]
        change, kept = stats.accuracy_change(tasks), stats.retention(tasks)
        assert kept is not None
        assert (kept.low <= 1 <= kept.high) == (change.low <= 0 <= change.high)
        decided += stats.distinguishable(change)
    assert 50 < decided < 250


def test_retention_above_chance_of_a_model_that_guesses_is_unknown() -> None:
    guesses = Pairs(both=20, only_compressed=5, only_dense=6, neither=69)
    assert stats.retention([guesses], chance=0.25) is None
    assert stats.retention([guesses]) is not None


def test_intervals_cover_what_they_claim() -> None:
    random = np.random.default_rng(1)
    shares = [0.35, 0.05, 0.08, 0.52]  # both, only compressed, only dense, neither
    covered = np.zeros(2)
    for _ in range(1500):
        tasks = [Pairs(*map(int, random.multinomial(100, shares))) for _ in range(3)]
        change, kept = stats.accuracy_change(tasks), stats.retention(tasks)
        assert kept is not None
        covered += [change.low <= -0.03 <= change.high, kept.low <= 0.40 / 0.43 <= kept.high]
    assert ((covered / 1500 > 0.93) & (covered / 1500 < 0.975)).all()


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (3, 3), (2, 9), (40, 70)])
def test_mcnemar_equals_scipy(ours: int, theirs: int) -> None:
    expected = binomtest(ours, ours + theirs).pvalue if ours + theirs else 1.0
    assert stats.mcnemar_p([Pairs(10, ours, theirs, 10)]) == pytest.approx(expected)
