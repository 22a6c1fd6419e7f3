"""The rule of anytime sweeps: rounds, evidence by betting, and where trials stand."""

import math

import numpy as np
import pytest

from engine.analysis.anytime import TOLERANCE, Schedule, evidence, resolution, standings

TWO = Schedule({"piqa": 400, "arc_easy": 400}, seed=0)


def drawn(accuracy: float, seed: int, rounds: int = 400) -> np.ndarray:
    """[rounds, 2]: what two answers add, each right with that probability."""
    return (np.random.default_rng(seed).random((rounds, 2)) < accuracy) / 2


def improved(answered: np.ndarray, count: int) -> np.ndarray:
    """As answered, but for so many wrong answers that are right."""
    better = answered.copy()
    better[tuple(np.argwhere(better == 0)[:count].T)] = 0.5
    return better


def test_every_item_is_asked_in_exactly_one_round() -> None:
    schedule = Schedule({"piqa": 10, "arc_easy": 4, "boolq": 9}, seed=3)
    assert schedule.rounds == 4
    for task, size in schedule.items.items():
        places = schedule.places(task)
        assert len(places) == 4
        assert sorted(place for one in places for place in one) == list(range(size))


def test_the_order_follows_the_seed_and_not_the_other_tasks() -> None:
    alone, beside = Schedule({"piqa": 50}, seed=1), Schedule({"piqa": 50, "boolq": 60}, seed=1)
    assert alone.places("piqa") == beside.places("piqa")
    assert alone.places("piqa") != Schedule({"piqa": 50}, seed=2).places("piqa")


def test_a_share_of_the_rounds_is_rounded_up() -> None:
    assert [Schedule({"piqa": 15}, 0).first(share) for share in (0.1, 0.5, 1.0)] == [2, 8, 15]


def test_the_mean_of_all_scores_is_the_macro_mean_whatever_the_sizes() -> None:
    schedule = Schedule({"piqa": 10, "boolq": 4}, seed=0)
    right = {"piqa": {i: i < 7 for i in range(10)}, "boolq": {i: i < 1 for i in range(4)}}
    scores = schedule.scores(right)
    assert scores.shape == (4, 4)
    assert scores.sum(axis=1).mean() == pytest.approx((0.7 + 0.25) / 2)
    assert schedule.weights == pytest.approx([0.2, 0.2, 0.2, 0.5])


def test_scores_end_before_the_first_round_with_an_item_missing() -> None:
    schedule = Schedule({"piqa": 10}, seed=0)
    answered = {place: True for number in range(6) for place in schedule.places("piqa")[number]}
    assert len(schedule.scores({"piqa": answered})) == 6
    del answered[schedule.places("piqa")[2][0]]
    assert len(schedule.scores({"piqa": answered})) == 2


def test_evidence_is_the_bettors_wealth_computed_by_hand() -> None:
    """Two rounds of four, both won: odds that no difference is left, then that the rest makes up for the first."""
    schedule = Schedule({"piqa": 4}, seed=0)
    wealth = []
    for advantage in (0.02, 0.03, 0.045, 0.07, 0.1):
        first = 1 + min(advantage / 0.1, 0.6) * (1 - 0)
        fair = -1 / 3  # one win of four is gone, so the three left lose one in the mean
        variance = (3 * 0.1 + 1) / (3 + 1)
        wealth.append(first * (1 + min(advantage * 4 / 3 / variance, 0.6 / (1 + fair)) * (1 - fair)))
    assert evidence(np.ones((2, 1)), np.zeros((2, 1)), schedule, 0.0) == pytest.approx(math.log(np.mean(wealth)))


def test_every_item_of_a_round_is_bet_on_by_its_weight() -> None:
    """Three items beside two: the first round asks two of the three, which weigh 1/3 each, and one that weighs 1/2."""
    schedule = Schedule({"piqa": 3, "boolq": 2}, seed=0)
    weights = np.array([1 / 3, 1 / 3, 1 / 2])
    fair = -0.1 / weights.sum()  # of what a weight of 1 wins, where the rest loses a tenth
    stakes = np.minimum(np.array([0.02, 0.03, 0.045, 0.07, 0.1]) / (0.1 * (weights**2).sum()), 0.6 / 0.5 / (1 + fair))
    won = np.prod([1 + stakes * weight * (win - fair) for weight, win in zip(weights, (1, -1, 1), strict=True)], axis=0)
    ours, theirs = np.array([[1, 0, 1]]) * weights, np.array([[0, 1, 0]]) * weights
    assert won.mean() > 1
    assert evidence(ours, theirs, schedule, 0.1) == pytest.approx(math.log(won.mean()))


def test_what_the_rest_can_no_longer_change_is_certain() -> None:
    schedule = Schedule({"piqa": 4}, seed=0)
    assert evidence(np.ones((3, 1)), np.zeros((3, 1)), schedule, 0.0) == math.inf
    assert evidence(np.zeros((3, 1)), np.ones((3, 1)), schedule, 0.0) < 1


def few(ours: int, theirs: int, size: int) -> tuple[list[bool], list[bool]]:
    """Answers of which only so many differ: those that we alone, and those that they alone, have right."""
    return [i < ours for i in range(size)], [ours <= i < ours + theirs for i in range(size)]


@pytest.mark.parametrize(
    "untrue",  # by task, ours and theirs, so that ours are just more than 2 points less accurate on all items
    [
        {"piqa": few(60, 65, 200)},
        {"piqa": few(0, 5, 200)},
        {"piqa": few(0, 13, 200), "arc_easy": few(0, 0, 200), "boolq": few(0, 0, 200)},
        {"piqa": few(40, 0, 200), "arc_easy": few(0, 27, 200), "boolq": few(0, 26, 200)},
        {"piqa": few(15, 40, 330), "copa": few(4, 2, 60)},
    ],
    ids=["many differ", "few differ", "one task differs", "tasks against each other", "of unequal sizes"],
)
def test_an_untrue_claim_gathers_evidence_no_more_often_than_stated(
    untrue: dict[str, tuple[list[bool], list[bool]]],
) -> None:
    """In many orders of the items, looked at after every round."""
    level, wrong = math.log(1 / 0.2), 0
    for seed in range(300):
        schedule = Schedule({task: len(ours) for task, (ours, _) in untrue.items()}, seed)
        ours, theirs = (
            schedule.scores({task: dict(enumerate(sides[side])) for task, sides in untrue.items()}) for side in (0, 1)
        )
        assert (theirs - ours).sum() > 0.02 * schedule.rounds
        wrong += evidence(ours, theirs, schedule, 0.02) >= level
    assert 0 < wrong / 300 <= 0.2


def test_a_clearly_worse_and_larger_trial_is_left_out_early() -> None:
    answered = {"small": drawn(0.7, 1)[:120], "large": drawn(0.4, 2)[:120]}
    found = standings(answered, {"small": 1.0, "large": 2.0}, TWO, {})
    assert (found["large"].state, found["large"].by, found["large"].needed) == ("left out", "small", False)
    assert (found["small"].state, found["small"].needed) == ("on the front", False)


def test_a_clearly_better_and_larger_trial_is_on_the_front_early() -> None:
    answered = {"small": drawn(0.4, 1)[:120], "large": drawn(0.7, 2)[:120]}
    found = standings(answered, {"small": 1.0, "large": 2.0}, TWO, {})
    assert [found[i].state for i in ("small", "large")] == ["on the front", "on the front"]
    assert not any(standing.needed for standing in found.values())


def test_what_can_not_be_told_apart_goes_on_and_so_does_what_it_is_held_against() -> None:
    answered = {"small": drawn(0.55, 1)[:40], "large": drawn(0.6, 2)[:60]}
    found = standings(answered, {"small": 1.0, "large": 2.0}, TWO, {})
    assert found["large"].state == "open"
    assert found["small"].needed
    assert found["large"].needed


def test_within_the_tolerance_the_larger_is_left_out() -> None:
    small = drawn(0.6, 1)
    large = improved(small, 4)
    found = standings({"small": small[:300], "large": large[:300]}, {"small": 1.0, "large": 2.0}, TWO, {})
    assert found["large"].by == "small"


def test_with_all_items_the_plain_front_stands_and_ties_go_to_the_smaller() -> None:
    answered = {"a": drawn(0.60, 1), "b": drawn(0.601, 1), "c": drawn(0.60, 1), "d": drawn(0.60, 1)}
    answered["b"] = improved(answered["a"], 1)
    size = {"a": 1.0, "b": 2.0, "c": 2.0, "d": 1.0}
    found = standings(answered, size, TWO, {})
    assert {i: found[i].state for i in found} == {
        "a": "on the front",
        "b": "on the front",
        "c": "left out",
        "d": "on the front",  # equal in both: ties stay
    }
    assert not any(standing.needed for standing in found.values())


def test_one_that_leaves_another_out_is_not_left_out_by_the_tolerance() -> None:
    """Else a staircase of small steps would fall, each by the one below."""
    base = drawn(0.6, 1)[:300]
    better = improved(base, 1)
    answered = {"low": base, "middle": better, "high": better.copy()}
    size = {"low": 1.0, "middle": 2.0, "high": 3.0}
    assert standings(answered, size, TWO, {})["middle"].by == "low"
    assert standings(answered, size, TWO, {"high": "middle"})["middle"].by is None


def test_what_was_left_out_stays_so() -> None:
    answered = {"small": drawn(0.4, 1)[:60], "large": drawn(0.7, 2)[:60]}
    found = standings(answered, {"small": 1.0, "large": 2.0}, TWO, {"large": "small"})
    assert (found["large"].state, found["large"].by, found["large"].needed) == ("left out", "small", False)


def test_a_sweep_of_one_trial_is_settled() -> None:
    found = standings({"dense": drawn(0.5, 1)}, {"dense": 1.0}, TWO, {})
    assert (found["dense"].state, found["dense"].needed) == ("on the front", False)


def test_the_default_tolerance_is_what_3000_questions_settle_between_24_trials() -> None:
    assert resolution(dict.fromkeys(("piqa", "social_iqa", "boolq"), 1000), 24) == pytest.approx(TOLERANCE, rel=0.01)


def test_more_questions_settle_finer_differences_and_more_pairs_coarser_ones() -> None:
    few, many = {"piqa": 100, "boolq": 100}, {"piqa": 400, "boolq": 400}
    assert resolution(many, 10) == pytest.approx(resolution(few, 10) / 2)
    assert resolution(few, 2) < resolution(few, 10) < resolution(few, 10, confidence=0.99)
    assert resolution({"piqa": 1}, 500) == 1.0


def test_what_is_settled_shows_four_times_in_five() -> None:
    """Two trials that differ in 14% of 2,000 answers, by as much as is said to be settled: drawn 4,000 times."""
    gap = resolution({"piqa": 2000}, 2)
    better, worse, _ = np.random.default_rng(0).multinomial(2000, [0.07 + gap / 2, 0.07 - gap / 2, 0.86], 4000).T
    low = (better - worse) - 1.6449 * np.sqrt(better + worse)
    assert (low > 0).mean() == pytest.approx(0.8, abs=0.02)
