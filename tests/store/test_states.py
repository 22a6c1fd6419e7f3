"""Which moves a trial may make, and what ends it."""

import itertools

import pytest

from engine.store import Job, Queue, StateError, Store, schema
from engine.store.states import MOVES, STATES, move
from tests.store.filled import DENSE, EIGHT, FOUR, claimed, done


def test_a_failed_trial_keeps_its_reason_traceback_log_and_results(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size", "memory"])
    job = claimed(queue)
    queue.keep_metrics(EIGHT.id, {"weight_bytes": 8.0}, {})
    queue.fail(job, "no memory", "Traceback", "log")
    row, detail = store.row(EIGHT.id), store.detail(EIGHT.id)
    assert (row.state, row.reason, row.metrics) == ("failed", "no memory", {"weight_bytes": 8.0})
    assert (detail.reason, detail.traceback, detail.log) == ("no memory", "Traceback", "log")


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_failed_and_cancelled_trials_can_be_tried_again(store: Store, queue: Queue, end: str) -> None:
    store.submit([EIGHT, FOUR], ["size"])
    job = claimed(queue)
    queue.fail(job, "why") if end == "fail" else queue.cancel(job)
    store.retry(EIGHT.id)
    assert (store.row(EIGHT.id).state, store.row(EIGHT.id).reason) == ("queued", "")
    assert [claimed(queue).trial.id for _ in range(2)] == [FOUR.id, EIGHT.id]


def test_submitting_a_failed_trial_again_asks_only_what_is_named(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size", "memory"])
    queue.fail(claimed(queue), "memory")
    store.submit([EIGHT], ["size"])
    assert claimed(queue).measures == ("size",)


def test_a_finished_trial_can_not_be_retried(store: Store, queue: Queue) -> None:
    done(store, queue, EIGHT)
    with pytest.raises(StateError, match="is done"):
        store.retry(EIGHT.id)
    store.submit([FOUR], ["size"])
    claimed(queue)
    with pytest.raises(StateError, match="is running and can't become queued"):
        store.retry(FOUR.id)
    with pytest.raises(StateError, match="there is no trial"):
        store.retry("0000000000000000")


def test_a_trial_that_has_ended_can_not_end_otherwise(store: Store, queue: Queue) -> None:
    done(store, queue, EIGHT)
    with pytest.raises(StateError, match="is done and can't become failed"):
        queue.fail(Job(EIGHT, ("size",)), "too late")


def test_every_move_that_is_not_named_raises(store: Store) -> None:
    store.submit([EIGHT], ["size"])
    for source, target in itertools.product(STATES, STATES):
        with store.database.write() as connection:
            connection.execute(schema.trials.update().values(state=source))
        if target in MOVES[source]:
            with store.database.write() as connection:
                move(connection, EIGHT.id, target)
        else:
            refused = pytest.raises(StateError, match=f"is {source} and can't become {target}")
            with refused, store.database.write() as connection:
                move(connection, EIGHT.id, target)


def test_a_queued_trial_is_cancelled_when_the_worker_sees_the_request(store: Store, queue: Queue) -> None:
    store.submit([EIGHT, FOUR], ["size"])
    assert store.request_cancel([EIGHT.id]) == 1
    assert store.request_cancel([EIGHT.id]) == 0  # asked already
    assert store.row(EIGHT.id).state == "queued"  # pages write no states
    assert claimed(queue).trial.id == FOUR.id  # a trial about to be cancelled is not begun
    assert queue.honour_cancels() == [EIGHT.id]
    assert store.row(EIGHT.id).state == "cancelled"
    assert store.cancelling() == frozenset()


def test_cancelling_a_sweep_asks_for_each_trial_that_is_not_finished(store: Store, queue: Queue) -> None:
    sweep_id = store.submit([DENSE, EIGHT, FOUR], ["size"]).sweep_id
    queue.finish(claimed(queue))
    job = claimed(queue)
    assert store.request_cancel(sweep_id=sweep_id) == 2
    assert queue.cancel_asked(job.trial.id)


def test_submitting_again_withdraws_a_request_to_cancel(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    store.request_cancel([EIGHT.id])
    store.submit([EIGHT], ["size"])
    assert queue.honour_cancels() == []
    assert claimed(queue).trial.id == EIGHT.id


def test_cancelling_a_question_for_more_leaves_the_trial_done(store: Store, queue: Queue) -> None:
    done(store, queue, EIGHT)
    store.submit([EIGHT], ["memory"])
    store.request_cancel([EIGHT.id])
    queue.honour_cancels()
    assert (store.row(EIGHT.id).state, store.row(EIGHT.id).measures) == ("done", ("size",))
