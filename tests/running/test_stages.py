"""Anytime sweeps through the store: trials answer shares of their questions until the front is settled."""

import numpy as np
import pytest

from engine.analysis import results
from engine.analysis.anytime import Schedule, Standing
from engine.analysis.front import find_front
from engine.errors import InputError
from engine.running import stages
from engine.spec import Trial
from engine.store import ItemResult, Job, Queue, Store
from tests.fake_trial import made

ITEMS = 600
DENSE, GOOD, BAD, SAME = made(), made(4), made(5), made(8)
SIZE = {DENSE.id: 400.0, SAME.id: 300.0, BAD.id: 200.0, GOOD.id: 100.0}
SHARE_RIGHT = {GOOD.id: 0.7, BAD.id: 0.4}


def is_right(trial: Trial) -> np.ndarray:
    """[ITEMS]: what the trial answers right; 8 bits answer as the original does but for one item."""
    dense = np.random.default_rng(0).random(ITEMS) < 0.72
    if trial.id == DENSE.id:
        return dense
    if trial.id == SAME.id:
        return np.where(np.arange(ITEMS) == 7, ~dense, dense)
    return np.random.default_rng(trial.recipe.steps[0].bits).random(ITEMS) < SHARE_RIGHT[trial.id]  # type: ignore[attr-defined]


def answer(store: Store, queue: Queue, job: Job, by_length: bool = False) -> int:
    """Do what a trial's child and the worker do with it; how many items were answered that were not before.

    by_length: the answers are right by acc_norm; by acc no more often than by guessing, and GOOD's hardly ever.
    """
    trial_id, right = job.trial.id, is_right(job.trial)
    known = {item.id for item in store.items(trial_id).get("piqa", [])}
    schedule = Schedule({"piqa": ITEMS}, job.trial.protocol.seed)
    rounds = schedule.places("piqa")[: schedule.rounds if job.share is None else schedule.first(job.share)]
    asked = sorted(place for one in rounds for place in one)
    items = [ItemResult(i, (-1.0, -2.0), int(not right[i]), None, bool(right[i])) for i in asked]
    if by_length:
        one_in = 10 if trial_id == GOOD.id else 2
        items = [ItemResult(i, (-1.0, -2.0), 0, 1, i % one_in == 0, bool(right[i])) for i in asked]
    queue.keep_items(trial_id, "piqa", items)
    accuracy = sum(item.correct for item in items) / len(items)
    measured = {"weight_bytes": SIZE[trial_id], "accuracy": accuracy, "accuracy_chance": 0.5}
    derived = results.derive(measured, {"piqa": items}, None, None).metrics
    queue.keep_metrics(trial_id, {**{name: v for name, v in derived.items() if v is not None}, **measured}, {})
    queue.finish(job)
    return len({item.id for item in items} - known)


def answer_next(store: Store, queue: Queue, count: int) -> None:
    """Have so many trials answer what is asked of them next."""
    for _ in range(count):
        job = queue.claim()
        assert job is not None
        answer(store, queue, job)


def run(store: Store, queue: Queue, by_length: bool = False) -> tuple[dict[str, int], list[str]]:
    """Run what is queued until nothing is; by trial the items it answered, and what was said of the sweep."""
    answered: dict[str, int] = {}
    said: list[str] = []
    while True:
        said += stages.decide(store, queue)
        job = queue.claim()
        if job is None:
            return answered, said
        answered[job.trial.id] = answered.get(job.trial.id, 0) + answer(store, queue, job, by_length)


def test_trials_that_can_not_change_the_front_stop_early_and_say_why(store: Store, queue: Queue) -> None:
    store.submit([SAME, BAD, GOOD], ["size", "accuracy"], tolerance=0.05)
    answered, said = run(store, queue)
    bad = store.row(BAD.id)
    assert answered[DENSE.id] == ITEMS  # what all are held against
    assert answered[BAD.id] < 0.4 * ITEMS
    assert bad.state == "done"
    assert bad.stopped_at == answered[BAD.id]
    assert bad.left_out_by == GOOD.id
    assert bad.notes[-1] == (
        "Stopped early: at 95% confidence, 4-bit, round to nearest, groups of 64 is no larger and at most "
        "5 points less accurate on all questions."
    )
    early = sum(row.left_out_by is not None for row in store.rows())
    assert said[-1] == f"sweep 1 is settled: {early} of 4 trials were left out early"
    assert store.sweeps()[0].settled
    assert list(stages.decide(store, queue)) == []


def test_answers_are_counted_as_the_front_counts_them(store: Store, queue: Queue) -> None:
    store.submit([SAME, BAD, GOOD], ["size", "accuracy"], tolerance=0.05)
    answered, _ = run(store, queue, by_length=True)
    assert store.row(BAD.id).left_out_by == GOOD.id
    assert answered[BAD.id] < 0.4 * ITEMS


def test_what_may_be_asked_more_is_known_until_it_is_left_out_or_all_is_settled(store: Store, queue: Queue) -> None:
    store.submit([SAME, BAD, GOOD], ["size", "accuracy"], tolerance=0.05)
    assert queue.unsettled() == {DENSE.id, SAME.id, BAD.id, GOOD.id}
    while BAD.id in queue.unsettled():
        assert store.row(BAD.id).left_out_by is None
        list(stages.decide(store, queue))
        while job := queue.claim():
            answer(store, queue, job)
    assert store.row(BAD.id).left_out_by == GOOD.id
    run(store, queue)
    assert queue.unsettled() == set()


def test_nothing_is_answered_twice(store: Store, queue: Queue) -> None:
    store.submit([SAME, BAD, GOOD], ["size", "accuracy"], tolerance=0.05)
    answered, _ = run(store, queue)
    assert {i: len(store.items(i)["piqa"]) for i in answered} == answered


def test_the_front_is_the_one_of_all_answers(store: Store, queue: Queue) -> None:
    store.submit([SAME, BAD, GOOD], ["size", "accuracy"], tolerance=0.0)
    run(store, queue)
    rows = results.analyse(store.rows(), store.items)
    early = find_front(rows).best_ids
    store.submit([SAME, BAD, GOOD], ["size", "accuracy"])
    run(store, queue)
    rows = results.analyse(store.rows(), store.items)
    assert all(row.stopped_at is None and row.left_out_by is None for row in rows)
    assert find_front(rows).best_ids == early


def test_a_later_sweep_without_a_tolerance_extends_what_was_stopped(store: Store, queue: Queue) -> None:
    store.submit([BAD, GOOD], ["size", "accuracy"], tolerance=0.05)
    first, _ = run(store, queue)
    assert store.missing([BAD], ["size", "accuracy"], anytime=True) == {}
    assert store.missing([BAD], ["size", "accuracy"]) == {BAD.id: ("accuracy",)}
    assert store.row(BAD.id).notes[0].startswith("Stopped early")
    assert store.submit([BAD], ["size", "accuracy"]).queued == (BAD.id,)
    more, _ = run(store, queue)
    assert more == {BAD.id: ITEMS - first[BAD.id]}
    assert (store.row(BAD.id).stopped_at, store.row(BAD.id).left_out_by) == (None, None)
    assert store.row(BAD.id).notes == ()


def test_a_trial_between_two_shares_keeps_its_place_on_the_page(store: Store, queue: Queue) -> None:
    store.submit([SAME, GOOD], ["size", "accuracy"], tolerance=0.0)
    answer_next(store, queue, 3)
    list(stages.decide(store, queue))
    waiting = [row for row in store.rows() if row.state == "queued"]
    assert waiting
    assert all(row.has_result for row in waiting)
    assert {row.trial_id for row in find_front(results.analyse(store.rows(), store.items)).points} == {
        DENSE.id,
        SAME.id,
        GOOD.id,
    }


def test_a_stopped_trials_accuracy_is_estimated_for_all_questions(store: Store, queue: Queue) -> None:
    store.submit([BAD, GOOD], ["size", "accuracy"], tolerance=0.05)
    run(store, queue)
    dense, bad = (
        next(r for r in results.analyse(store.rows(), store.items) if r.trial_id == t.id) for t in (DENSE, BAD)
    )
    first = [item.id for item in store.items(BAD.id)["piqa"]]
    change = is_right(BAD)[first].mean() - is_right(DENSE)[first].mean()
    assert bad.metrics["accuracy"] == pytest.approx(is_right(DENSE).mean() + change)
    assert bad.metrics["accuracy_low"] < bad.metrics["accuracy"] < bad.metrics["accuracy_high"]
    assert dense.metrics["accuracy"] == pytest.approx(is_right(DENSE).mean())


def test_a_cancelled_sweep_is_settled_as_it_stands(store: Store, queue: Queue) -> None:
    sweep = store.submit([SAME, BAD, GOOD], ["size", "accuracy"], tolerance=0.0).sweep_id
    answer_next(store, queue, 2)
    store.request_cancel(sweep_id=sweep)
    assert len(queue.honour_cancels()) == 2
    assert run(store, queue) == ({}, [])
    assert store.sweeps()[0].settled


def test_a_trial_that_was_stopped_in_a_later_share_stays_as_it_stands(store: Store, queue: Queue) -> None:
    store.submit([SAME, GOOD], ["size", "accuracy"], tolerance=0.0)
    answer_next(store, queue, 3)
    list(stages.decide(store, queue))
    job = queue.claim()
    assert job is not None
    answered = store.row(job.trial.id).stopped_at
    queue.cancel(job)
    more, _ = run(store, queue)
    assert job.trial.id not in more
    assert store.row(job.trial.id).stopped_at == answered
    assert store.sweeps()[0].settled


def test_a_retried_trial_is_decided_upon_again(store: Store, queue: Queue) -> None:
    store.submit([BAD, GOOD], ["size", "accuracy"], tolerance=0.05)
    store.request_cancel([BAD.id])
    queue.honour_cancels()
    run(store, queue)
    store.retry(BAD.id)
    answered, said = run(store, queue)
    assert BAD.id in answered
    assert said[-1] == "sweep 1 is settled: 1 of 3 trials were left out early"


def test_without_the_original_every_trial_answers_all(store: Store, queue: Queue) -> None:
    store.submit([BAD, GOOD], ["size", "accuracy"], tolerance=0.05)
    job = queue.claim()
    assert job is not None
    assert job.trial.id == DENSE.id
    queue.fail(job, "out of memory")
    answered, said = run(store, queue)
    assert answered == {BAD.id: ITEMS, GOOD.id: ITEMS}
    assert "every trial answers all questions" in said[0]


def test_such_a_sweep_needs_what_it_decides_by(store: Store) -> None:
    with pytest.raises(InputError, match="decided by size and accuracy; measure size too"):
        store.submit([GOOD], ["accuracy"], tolerance=0.02)


def test_it_is_decided_anew_after_each_twentieth_but_not_after_fewer_than_a_hundred_questions() -> None:
    open_, done = Standing("open", None, True), Standing("on the front", None, False)
    for items, step in (({"piqa": 4_000}, 200), ({"piqa": 1_000, "boolq": 1_000}, 50), ({"piqa": 300}, 100)):
        schedule = Schedule(items, 0)
        seen = 0
        while going := stages.next_share(
            {"a": open_, "b": done}, {"a": np.zeros((seen, 1)), "b": np.zeros((9, 1))}, schedule
        ):
            assert going.keys() == {"a"}
            assert schedule.first(going["a"]) == min(seen + step, schedule.rounds)
            seen = schedule.first(going["a"])
        assert seen == schedule.rounds


def test_those_behind_catch_up_first() -> None:
    open_ = Standing("open", None, True)
    scores = {"a": np.zeros((600, 1)), "b": np.zeros((400, 1))}
    assert stages.next_share(dict.fromkeys(scores, open_), scores, Schedule({"piqa": 2_000}, 0)) == {"b": 0.25}
