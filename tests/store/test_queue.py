"""Runners that live, die and meet."""

import subprocess
import threading
import time

import psutil
import pytest

from engine.store import Queue, StateError, Store, schema
from tests.fake_trial import made
from tests.processes import wait_until
from tests.store.filled import EIGHT, FOUR, claimed


def test_the_trial_of_a_runner_that_is_gone_is_queued_again_at_its_place(store: Store, queue: Queue) -> None:
    store.submit([EIGHT, FOUR], ["size"])
    lost = Queue(store, clock=lambda: store.clock() - 3600)
    job = claimed(lost)
    assert queue.requeue_lost() == [EIGHT.id]
    with pytest.raises(StateError, match="no longer this worker's"):
        lost.keep_metrics(EIGHT.id, {"weight_bytes": 1.0}, {})
    with pytest.raises(StateError):
        lost.finish(job)
    assert claimed(queue).trial.id == EIGHT.id


def test_the_trial_of_a_runner_that_lives_is_left_alone(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    with Queue(store) as other:
        claimed(other)
        assert queue.requeue_lost() == []


def test_a_runner_of_this_machine_that_is_silent_but_lives_keeps_its_trial(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    now = time.time()
    claimed(Queue(store, clock=lambda: now))
    with Queue(store, clock=lambda: now + 3600) as later:
        assert later.requeue_lost() == []


@pytest.mark.parametrize("values", [{"pid": 2**22 + 1}, {"host": "another"}])
def test_a_silent_runner_without_a_process_here_is_gone(store: Store, queue: Queue, values: dict) -> None:
    store.submit([EIGHT], ["size"])
    now = time.time()
    other = Queue(store, clock=lambda: now)
    claimed(other)
    with store.database.write() as connection:
        connection.execute(schema.workers.update().where(schema.workers.c.id == other.id).values(**values))
    with Queue(store, clock=lambda: now + 3600) as later:
        assert later.requeue_lost() == [EIGHT.id]


def test_a_runner_whose_process_has_ended_is_gone_though_nobody_collected_it(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    other = Queue(store)
    claimed(other)
    with subprocess.Popen(["true"]) as ended:
        with store.database.write() as connection:
            mine = schema.workers.c.id == other.id
            connection.execute(schema.workers.update().where(mine).values(pid=ended.pid, seen_at=time.time() + 60))
        wait_until(lambda: psutil.Process(ended.pid).status() == psutil.STATUS_ZOMBIE)
        assert queue.requeue_lost() == [EIGHT.id]


def test_a_trial_that_starts_anew_drops_its_notes_and_one_that_goes_on_keeps_them(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    job = claimed(queue)
    queue.keep_facts(EIGHT.id, note="of the first attempt")
    queue.fail(job, "no reason")
    store.retry(EIGHT.id)
    job = claimed(queue)
    assert store.row(EIGHT.id).notes == ()
    queue.keep_facts(EIGHT.id, note="of the second")
    queue.finish(job)
    store.submit([EIGHT], ["latency"])
    claimed(queue)
    assert store.row(EIGHT.id).notes == ("of the second",)


def test_a_trial_that_goes_on_took_what_all_its_runs_took_without_the_breaks(store: Store) -> None:
    moments = iter((0.0, 100.0, 160.0, 500.0, 505.0, 1000.0, 1007.0))
    queue = Queue(store, clock=lambda: next(moments))
    store.submit([EIGHT], ["size"])
    queue.finish(claimed(queue))
    store.submit([EIGHT], ["latency"])
    queue.give_back(claimed(queue))
    queue.finish(claimed(queue))
    row = store.row(EIGHT.id)
    assert (row.started_at, row.finished_at) == (935.0, 1007.0)


def test_a_measure_that_runs_again_says_anew_what_there_is_to_say_of_it(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    queue.finish(claimed(queue))
    store.submit([EIGHT], ["latency"])
    job = claimed(queue)
    queue.keep_facts(EIGHT.id, note="of the recipe")
    queue.keep_notes(EIGHT.id, "latency", ["Disturbed: prefill", "Disturbed: decode"])
    queue.keep_notes(EIGHT.id, "accuracy", ["of the answers"])
    queue.fail(job, "no reason")
    store.retry(EIGHT.id)
    claimed(queue)
    assert len(store.row(EIGHT.id).notes) == 4  # as long as its numbers are there
    queue.keep_notes(EIGHT.id, "latency", ["Disturbed: decode"])
    assert store.row(EIGHT.id).notes == ("of the recipe", "of the answers", "Disturbed: decode")
    queue.keep_notes(EIGHT.id, "latency", [])
    assert store.row(EIGHT.id).notes == ("of the recipe", "of the answers")


def test_a_trial_that_takes_every_worker_down_fails_at_last(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    for _ in range(3):
        claimed(Queue(store, clock=lambda: 0.0))
        queue.requeue_lost()
    assert store.row(EIGHT.id).state == "failed"
    assert "lost 3 times" in store.row(EIGHT.id).reason


def test_a_trial_given_back_waits_at_its_place_and_no_attempt_is_counted(store: Store, queue: Queue) -> None:
    store.submit([EIGHT, FOUR], ["size"])
    for _ in range(5):
        job = claimed(queue)
        assert job.trial.id == EIGHT.id
        queue.give_back(job)


def test_two_runners_never_claim_the_same_trial(url: str, store: Store) -> None:
    trials = [made(8, group_size=8 * n) for n in range(1, 31)]
    store.submit(trials, ["size"])
    claims: list[str] = []

    def claim_all() -> None:
        mine = Store(url)
        with Queue(mine) as queue:
            while job := queue.claim():
                claims.append(job.trial.id)
        mine.close()

    threads = [threading.Thread(target=claim_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claims) == sorted(t.id for t in trials)
