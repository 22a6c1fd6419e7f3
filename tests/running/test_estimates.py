from dataclasses import replace

import pytest

from engine.outcome.row import Row
from engine.running.estimates import DEFAULT_PARAMETERS, Estimate, counted_seconds, estimate
from engine.running.halfway import BUDGET_BYTES
from engine.spec import DENSE, MEASURES, Protocol, Trial, parse
from tests.made_rows import row

PROTOCOL = Protocol(limit=100, threads=2)
RECIPES = (DENSE, "quantize:rtn,bits=4", "slice:slicegpt,fraction=0.2")
TRIALS = [Trial("m", None, "sha", parse(recipe), PROTOCOL, (("text", "sha"),)) for recipe in RECIPES]


def finished(seconds: float, measures: tuple[str, ...] = MEASURES, **changes: object) -> Row:
    times = {"started_at": 1000.0, "finished_at": 1000.0 + seconds}
    return row("dense", protocol=PROTOCOL.__dict__, measures=measures, **times, **changes)


def test_the_machines_own_trials_give_the_speed() -> None:
    counted = counted_seconds(parse(DENSE), PROTOCOL, MEASURES, DEFAULT_PARAMETERS)
    guess = estimate(TRIALS, MEASURES)
    known = estimate(TRIALS, MEASURES, [finished(counted * factor) for factor in (2.9, 3.0, 3.0, 3.1)])
    assert (guess.finished, known.finished) == (0, 4)
    assert known.high_seconds / known.low_seconds < guess.high_seconds / guess.low_seconds
    middle = (known.low_seconds + known.high_seconds) / 2
    total = sum(counted_seconds(t.recipe, PROTOCOL, MEASURES, DEFAULT_PARAMETERS) for t in TRIALS)
    assert middle == pytest.approx(3 * total, rel=0.02)


def test_recorded_and_unfinished_trials_say_nothing_of_this_machine() -> None:
    others = [finished(9.0, recorded=True), finished(9.0, state="failed"), replace(finished(9.0), started_at=None)]
    assert estimate(TRIALS, MEASURES, others) == estimate(TRIALS, MEASURES)


def test_trials_whose_results_are_there_cost_nothing() -> None:
    one = estimate(TRIALS, {TRIALS[1].id: MEASURES})
    assert one == estimate(TRIALS[1:2], MEASURES)
    none = estimate(TRIALS, {})
    assert (none.low_seconds, none.high_seconds, none.kept_bytes, none.working_bytes) == (0, 0, 0, 0)
    assert "answered" in none.time


def test_a_trial_named_twice_is_paid_once() -> None:
    assert estimate([*TRIALS, *TRIALS], MEASURES) == estimate(TRIALS, MEASURES)


@pytest.mark.parametrize(
    ("more", "measures"),
    [
        (replace(PROTOCOL, limit=200), ("accuracy",)),
        (replace(PROTOCOL, perplexity_windows=64), ("perplexity",)),
        (replace(PROTOCOL, decode_tokens=128), ("latency",)),
        (replace(PROTOCOL, threads=1), ("accuracy",)),
    ],
)
def test_more_work_takes_longer(more: Protocol, measures: tuple[str, ...]) -> None:
    cost = [counted_seconds(parse(DENSE), p, measures, DEFAULT_PARAMETERS) for p in (PROTOCOL, more)]
    assert cost[1] > cost[0]


def test_a_larger_model_takes_longer_and_more_disk() -> None:
    small, large = (estimate(TRIALS, MEASURES, parameters=n) for n in (10**8, 10**9))
    assert large.high_seconds > 4 * small.high_seconds
    assert large.working_bytes == 2e9 + 4e6


def test_models_kept_between_shares_need_disk_as_far_as_they_are_kept() -> None:
    plain, shares = estimate(TRIALS, MEASURES), estimate(TRIALS, MEASURES, anytime=True)
    assert shares.working_bytes - plain.working_bytes == 2 * 2 * DEFAULT_PARAMETERS  # dense is read again instead
    large = estimate(TRIALS, MEASURES, parameters=7_000_000_000, anytime=True)
    assert large.working_bytes - estimate(TRIALS, MEASURES, parameters=7_000_000_000).working_bytes == BUDGET_BYTES


def test_calibrated_steps_cost_their_forward_passes() -> None:
    plain, calibrated = (counted_seconds(parse(r), PROTOCOL, (), DEFAULT_PARAMETERS) for r in RECIPES[1:])
    assert 20 < calibrated - plain < 90  # a slicing took 48 s


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (20, 50, "about 20 to 50 seconds"),
        (240, 420, "about 4 to 7 minutes"),
        (3600, 9000, "about 1 to 2 hours"),
        (1, 1, "about 1 second"),
    ],
)
def test_the_range_in_words(low: float, high: float, words: str) -> None:
    assert Estimate(low, high, 0, 0, 0).time == words


def test_the_basis_is_named() -> None:
    assert "first guess" in Estimate(1, 2, 0, 0, 0).basis
    assert Estimate(1, 2, 0, 0, 1).basis == "from 1 finished trial on this machine"
