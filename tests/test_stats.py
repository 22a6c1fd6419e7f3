import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm, sem, ttest_1samp

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


@pytest.mark.parametrize(("right", "items"), [(0, 10), (3, 10), (123, 300)])
def test_standard_error_equals_scipys(right: int, items: int) -> None:
    assert stats.standard_error(right, items) == pytest.approx(sem([1] * right + [0] * (items - right)))


def test_one_item_has_no_standard_error_and_so_has_no_mean_with_it() -> None:
    assert stats.standard_error(1, 1) is None
    assert stats.macro_standard_error([0.03, None]) is None
    assert stats.macro_standard_error([0.03, 0.04]) == pytest.approx(0.025)


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


@pytest.mark.parametrize(
    ("only_ours", "only_theirs", "standing"), [(30, 2, "better"), (2, 30, "worse"), (9, 7, "not distinguishable")]
)
def test_verdict_follows_the_interval(only_ours: int, only_theirs: int, standing: str) -> None:
    change = stats.accuracy_change([Pairs(40, only_ours, only_theirs, 60 - only_ours)])
    found = stats.verdict(change, 100 + only_theirs)
    assert (found.standing, found.questions) == (standing, 100 + only_theirs)
    assert found[2:] == change


def test_questions_to_settle_is_connors_formula() -> None:
    """14% of the answers disagree, evenly: (1.96 sqrt(0.14) + 0.84 sqrt(0.14 - 0.02^2))^2 / 0.02^2 = 2743."""
    change = stats.accuracy_change([Pairs(43_000, 7_000, 7_000, 43_000)])
    by_hand = ((norm.ppf(0.975) * 0.14**0.5 + norm.ppf(0.8) * (0.14 - 0.02**2) ** 0.5) / 0.02) ** 2
    assert stats.questions_to_settle(change, 100_000, 0.02) == pytest.approx(by_hand, rel=1e-3)


def test_questions_to_settle_counts_tasks_of_unequal_size_as_they_were_asked() -> None:
    """The smaller task's noise weighs as much in the mean, so the same disagreement takes more questions."""
    even = stats.accuracy_change([Pairs(43, 7, 7, 43)] * 2)
    uneven = stats.accuracy_change([Pairs(86, 14, 14, 86), Pairs(4, 1, 1, 4)])
    assert stats.questions_to_settle(uneven, 210, 0.02) > 2 * stats.questions_to_settle(even, 200, 0.02)


def test_that_many_questions_settle_it_four_times_in_five() -> None:
    random = np.random.default_rng(2)
    shares = [0.40, 0.05, 0.08, 0.47]  # both, only compressed, only dense, neither: a loss of 3 points
    pilot = stats.accuracy_change([Pairs(40_000, 6_500, 6_500, 47_000)])
    needed = stats.questions_to_settle(pilot, 100_000, 0.03)
    drawn = (Pairs(*map(int, random.multinomial(needed, shares))) for _ in range(1000))
    settled = sum(stats.distinguishable(stats.accuracy_change([pairs])) for pairs in drawn)
    assert 0.76 < settled / 1000 < 0.84


def test_a_difference_takes_questions_even_where_nothing_disagreed() -> None:
    alike = stats.accuracy_change([Pairs(50, 0, 0, 50)])
    assert stats.questions_to_settle(alike, 100, 0.02) > 100


@pytest.mark.parametrize(("questions", "difference"), [(0, 0.02), (100, 0.0), (100, 1.5)])
def test_questions_to_settle_refuses_what_makes_no_sense(questions: int, difference: float) -> None:
    with pytest.raises(ValueError, match="difference"):
        stats.questions_to_settle(stats.Estimate(0, -0.1, 0.1), questions, difference)


@pytest.mark.parametrize("sample", [(1.0, 2.0), (0.1, -0.3, 0.2, 0.7, 0.05)])
def test_the_interval_of_a_mean_is_scipys(sample: tuple[float, ...]) -> None:
    expected = ttest_1samp(sample, 0).confidence_interval(0.95)
    assert stats.mean_interval(sample) == pytest.approx((expected.low, expected.high))


def test_the_interval_of_two_values_by_hand() -> None:
    """Mean 1, standard error 1, and the t distribution's 97.5% point at one degree of freedom, tan(0.475 pi)."""
    assert stats.mean_interval((0.0, 2.0)) == pytest.approx((1 - 12.7062047, 1 + 12.7062047))


def test_the_mean_of_one_value_has_no_interval_and_equal_values_no_width() -> None:
    assert stats.mean_interval([3.0]) is None
    assert stats.mean_interval([3.0, 3.0]) == (3.0, 3.0)


def test_what_is_not_finite_stays_visible() -> None:
    found = stats.mean_interval(np.array([1.0, math.inf]))
    assert found is not None
    assert math.isnan(found.low)
