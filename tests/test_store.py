"""The store: what is kept, which moves are allowed, and how it refuses."""

import itertools
import json
import math
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, event, text

from engine.errors import InputError
from engine.row import Progress
from engine.store import ItemResult, Job, Queue, StateError, Store, StoreError, StoreFullError, schema
from engine.store.items import pack, unpack
from engine.store.states import MOVES, STATES, move
from tests.fake_trial import made
from tests.test_child import wait_until

DENSE, EIGHT, FOUR = made(), made(8), made(4)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    ticks = itertools.count(1000)
    opened = Store(url, clock=lambda: float(next(ticks)))
    yield opened
    opened.close()


@pytest.fixture
def queue(store: Store) -> Iterator[Queue]:
    with Queue(store) as opened:
        yield opened


def claimed(queue: Queue) -> Job:
    job = queue.claim()
    assert job is not None
    return job


def done(store: Store, queue: Queue, *trials, measures=("size",)) -> None:
    store.submit(trials, measures)
    while job := queue.claim():
        queue.finish(job)


def test_a_submitted_trial_is_queued_with_all_that_was_asked(store: Store) -> None:
    submitted = store.submit([EIGHT], ["size"], "first")
    row = store.row(EIGHT.id)
    assert submitted.queued == (EIGHT.id,)
    assert (row.state, row.recipe, row.model, row.measures) == ("queued", EIGHT.recipe.text, "tiny", ("size",))
    assert row.protocol["tasks"] == ["piqa"]
    assert row.sweep_ids == (submitted.sweep_id,)
    assert store.trial(EIGHT.id) == EIGHT


def test_measures_that_are_paired_put_the_dense_trial_first(store: Store, queue: Queue) -> None:
    store.submit([EIGHT, FOUR], ["size", "latency", "accuracy"])
    jobs = [claimed(queue) for _ in range(3)]
    assert [job.trial.id for job in jobs] == [DENSE.id, EIGHT.id, FOUR.id]
    assert jobs[0].measures == ("size", "accuracy")  # dense is timed beside each compressed model anyway
    assert queue.claim() is None


def test_measures_that_are_not_paired_need_no_dense_trial(store: Store) -> None:
    store.submit([EIGHT], ["size", "latency"])
    assert [row.trial_id for row in store.rows()] == [EIGHT.id]


def test_an_answered_question_is_reused(store: Store, queue: Queue) -> None:
    done(store, queue, EIGHT)
    revision = store.row(EIGHT.id).finished_at
    submitted = store.submit([EIGHT, FOUR], ["size"])
    assert (submitted.queued, submitted.reused) == ((FOUR.id,), (EIGHT.id,))
    assert store.row(EIGHT.id).state == "done"
    assert store.row(EIGHT.id).finished_at == revision


def test_missing_says_beforehand_what_submit_would_run(store: Store, queue: Queue) -> None:
    done(store, queue, EIGHT)
    assert store.missing([EIGHT, FOUR], ["size", "memory"]) == {EIGHT.id: ("memory",), FOUR.id: ("size", "memory")}


def test_asking_for_more_measures_runs_only_those_and_keeps_the_results(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    job = claimed(queue)
    queue.keep_metrics(EIGHT.id, {"weight_bytes": 8.0}, {})
    queue.finish(job)
    store.submit([EIGHT], ["size", "memory"])
    assert store.row(EIGHT.id).state == "queued"
    assert store.row(EIGHT.id).metrics == {"weight_bytes": 8.0}
    assert claimed(queue).measures == ("memory",)


def test_measures_asked_while_a_trial_runs_are_run_after_it(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    job = claimed(queue)
    store.submit([EIGHT], ["memory"])
    queue.finish(job)
    assert claimed(queue).measures == ("memory",)


def test_sweeps_run_in_the_order_they_came_and_each_in_its_own(store: Store, queue: Queue) -> None:
    store.submit([FOUR, EIGHT], ["size"])
    store.submit([DENSE, FOUR], ["size"])
    assert [claimed(queue).trial.id for _ in range(3)] == [FOUR.id, EIGHT.id, DENSE.id]


def test_the_same_sweep_submitted_again_is_the_same_sweep(store: Store) -> None:
    first, again, other = (store.submit(t, ["size"], "mine") for t in ([DENSE, EIGHT], [DENSE, EIGHT], [DENSE]))
    assert first.sweep_id == again.sweep_id != other.sweep_id
    assert [(s.id, s.name, s.total) for s in store.sweeps()] == [
        (other.sweep_id, "mine", 1),
        (first.sweep_id, "mine", 2),
    ]


def test_a_sweep_counts_its_trials_by_state(store: Store, queue: Queue) -> None:
    store.submit([DENSE, EIGHT, FOUR], ["size"])
    queue.finish(claimed(queue))
    claimed(queue)
    (sweep,) = store.sweeps()
    assert sweep.counts == {"done": 1, "running": 1, "queued": 1}
    assert (sweep.total, sweep.unfinished, sweep.model) == (3, 2, "tiny")


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


def test_a_value_that_is_not_finite_is_none_with_its_reason(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    claimed(queue)
    queue.keep_metrics(EIGHT.id, {"perplexity": math.inf, "flips": math.nan, "accuracy": 0.5}, {})
    row = store.row(EIGHT.id)
    assert row.metrics == {"perplexity": None, "flips": None, "accuracy": 0.5}
    assert row.reasons == {"perplexity": "infinite", "flips": "not a number"}
    queue.keep_metrics(EIGHT.id, {"perplexity": 20.0}, {})
    assert store.row(EIGHT.id).reasons == {"flips": "not a number"}


def test_items_come_back_as_they_were(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    claimed(queue)
    answers = [ItemResult(0, (-1.25, None), 0, 1, True), ItemResult(1, (-0.1, -7.5), None, None, False)]
    queue.keep_items(EIGHT.id, "piqa", answers[:1])
    queue.keep_items(EIGHT.id, "piqa", answers)
    assert store.items(EIGHT.id) == {"piqa": answers}
    assert store.items(FOUR.id) == {}


def test_two_hundred_items_take_few_bytes() -> None:
    answers = [ItemResult(i, (-10.123456789 - i, -11.5), 0, 1, True) for i in range(200)]
    assert unpack(pack(answers)) == answers
    assert len(pack(answers)) < 4000


def test_items_that_are_not_finite_are_read_as_none() -> None:
    event = {"id": 3, "loglikelihoods": [-math.inf, -1.0], "choice": 1, "choice_norm": 1, "correct": False}
    assert ItemResult.from_dict(event).loglikelihoods == (None, -1.0)


def test_notes_machine_and_simulation_are_kept(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    claimed(queue)
    for note in ("first", "second", "first"):
        queue.keep_facts(EIGHT.id, note=note)
    queue.keep_facts(EIGHT.id, simulated=True, environment={"cpu": "x"})
    queue.keep_facts(EIGHT.id, environment={"threads": 2})
    row = store.row(EIGHT.id)
    assert (row.notes, row.simulated, dict(row.environment)) == (("first", "second"), True, {"cpu": "x", "threads": 2})


def test_progress_does_not_raise_the_revision_and_states_and_results_do(store: Store, queue: Queue) -> None:
    seen = [store.revision()]
    for step in (
        lambda: store.submit([EIGHT], ["size"]),
        lambda: claimed(queue),
        lambda: queue.keep_metrics(EIGHT.id, {"weight_bytes": 1.0}, {}),
        lambda: store.request_cancel([EIGHT.id]),
    ):
        step()
        seen.append(store.revision())
    assert sorted(set(seen)) == seen
    queue.progress(EIGHT.id, Progress("load", 1, 2, 3.5))
    queue.beat()
    assert store.revision() == seen[-1]
    assert store.progress() == {EIGHT.id: Progress("load", 1, 2, 3.5)}
    assert store.row(EIGHT.id).progress == Progress("load", 1, 2, 3.5)


def test_progress_ends_with_the_trial(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    job = claimed(queue)
    queue.progress(EIGHT.id, Progress("load", 1, 2))
    queue.finish(job)
    assert store.progress() == {}


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


def test_rows_can_be_narrowed(store: Store, queue: Queue) -> None:
    sweep_id = store.submit([EIGHT], ["size"]).sweep_id
    store.submit([FOUR], ["size"])
    queue.finish(claimed(queue))
    assert [r.trial_id for r in store.rows(states=["done"])] == [EIGHT.id]
    assert [r.trial_id for r in store.rows(sweep_id=sweep_id)] == [EIGHT.id]
    assert [r.trial_id for r in store.rows([FOUR.id])] == [FOUR.id]
    with pytest.raises(InputError, match="no trial 'nope'"):
        store.row("nope")


def test_many_trials_go_in_and_come_out(store: Store) -> None:
    trials = [made(8, group_size=8, weights=f"{n:064d}") for n in range(1500)]
    assert len(store.submit(trials, ["size"]).queued) == 1500
    assert [r.trial_id for r in store.rows([t.id for t in trials])] == [t.id for t in trials]


def test_an_older_store_is_migrated_step_by_step(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as old:
        old.execute("CREATE TABLE meta (name VARCHAR PRIMARY KEY, value INTEGER NOT NULL)")
        old.execute("INSERT INTO meta VALUES ('version', -1)")
        old.execute("CREATE TABLE results (name TEXT)")
        old.execute("INSERT INTO results VALUES ('kept')")
    steps = {
        -1: lambda c: c.execute(text("ALTER TABLE results RENAME TO kept_results")),
        0: lambda c: c.execute(text("ALTER TABLE kept_results ADD COLUMN value INTEGER DEFAULT 7")),
    }
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        schema.prepare(connection, "old.db", steps, version=1)
        assert connection.execute(text("SELECT name, value FROM kept_results")).all() == [("kept", 7)]
        assert connection.execute(text("SELECT value FROM meta WHERE name = 'version'")).scalar() == 1
    engine.dispose()


def test_a_store_too_old_to_migrate_is_refused(url: str, store: Store) -> None:
    _set_version(store, 0)
    with pytest.raises(InputError, match="has version 0, which this Kneepoint can no longer read"):
        Store(url)


def test_a_newer_store_is_refused_in_one_sentence_and_left_alone(url: str, store: Store) -> None:
    store.submit([EIGHT], ["size"])
    _set_version(store, 99)
    with pytest.raises(InputError, match=r"newer Kneepoint \(its version is 99, this one reads up to 1\)") as refused:
        Store(url)
    assert "\n" not in str(refused.value)
    assert store.row(EIGHT.id).state == "queued"


def test_what_is_no_store_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text(
        "these are words and no database at all, though there are quite a few of them\n" * 20
    )
    with pytest.raises(StoreError, match="is no database"):
        Store(f"sqlite:///{tmp_path / 'text.db'}")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(InputError, match="no store of Kneepoint"):
        Store(f"sqlite:///{tmp_path / 'other.db'}")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////no/such/folder/store.db", "its folder must exist"),
        ("kneepoint.db", "is no database URL"),
        ("sqlite://", "can't be in memory"),
        ("nosuch://host/name", "no driver"),
    ],
)
def test_a_url_that_can_not_be_opened_is_refused_in_one_sentence(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as refused:
        Store(url)
    assert "\n" not in str(refused.value)


def test_a_full_disk_is_one_sentence_and_loses_nothing(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    job = claimed(queue)
    queue.keep_metrics(EIGHT.id, {"weight_bytes": 8.0}, {})
    with store.database.read() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    store.database.engine.dispose()
    event.listen(store.database.engine, "connect", limit)
    answers = [ItemResult(i, (-1.0 / (i + 1), math.sin(i)), 0, 0, True) for i in range(5000)]
    with pytest.raises(StoreFullError, match=r"disk of the store .* is full; free some space"):
        queue.keep_items(EIGHT.id, "piqa", answers)
    event.remove(store.database.engine, "connect", limit)
    store.database.engine.dispose()
    assert store.row(EIGHT.id).metrics == {"weight_bytes": 8.0}
    queue.keep_items(EIGHT.id, "piqa", answers)
    queue.finish(job)
    assert len(store.items(EIGHT.id)["piqa"]) == 5000


def test_rows_are_plain_json_values_inside(store: Store) -> None:
    store.submit([EIGHT], ["size"])
    row = store.row(EIGHT.id)
    assert json.loads(json.dumps(dict(row.protocol)))["limit"] == 200


def _set_version(store: Store, version: int) -> None:
    with store.database.write() as connection:
        which = schema.meta.c.name == "version"
        connection.execute(schema.meta.update().where(which).values(value=version))


def test_rows_read_again_are_as_fresh_as_those_of_a_new_store(url: str, store: Store, queue: Queue) -> None:
    def check() -> None:
        other = Store(url)
        assert store.rows() == other.rows() == store.rows([DENSE.id, EIGHT.id, FOUR.id])
        other.close()

    store.submit([EIGHT, FOUR], ["size"], "first")
    check()
    job = claimed(queue)
    check()
    queue.progress(EIGHT.id, Progress("load", 1, 2))
    check()
    queue.keep_metrics(EIGHT.id, {"weight_bytes": 8.0}, {})
    check()
    queue.finish(job)
    check()
    store.submit([EIGHT, DENSE], ["size"], "second")  # EIGHT itself does not change but belongs to another sweep
    check()
    assert store.row(EIGHT.id).sweep_ids == (1, 2)


def test_rows_keep_their_order_when_a_trial_is_queued_again(store: Store, queue: Queue) -> None:
    store.submit([EIGHT, FOUR], ["size"])
    queue.fail(claimed(queue), "why")
    store.retry(EIGHT.id)
    assert [row.trial_id for row in store.rows()] == [EIGHT.id, FOUR.id]
