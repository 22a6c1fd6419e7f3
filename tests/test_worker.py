"""The worker, as a process of its own: what kills it or its child costs one trial and nothing else."""

import fcntl
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from engine import worker
from engine.errors import InputError
from engine.outcome.layer_errors import LayerErrors
from engine.outcome.row import Progress, Row
from engine.paths import cache_dir
from engine.running import halfway as halfway_module
from engine.running.halfway import Halfway
from engine.spec import Trial
from engine.store import Job, Queue, Store, lock
from engine.store.lock import LockHeldError, hold, holder
from engine.system import child, events
from engine.system.child import Outcome
from tests import fake_trial
from tests.fake_trial import KILLED, RAISES, SLOW, STEPS, STUBBORN, WORKS, made
from tests.processes import PATIENCE_S, wait_until, wait_until_gone


@pytest.fixture
def url(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    return url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def start(url: str) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a worker with the fake child; all that were started are killed in the end."""
    started: list[subprocess.Popen[str]] = []

    def one() -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        started.append(subprocess.Popen([*fake_trial.WORKER, url], text=True, env=environment, **pipes))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()


def until(store: Store, trial_id: str, state: str) -> Row:
    wait_until(lambda: store.row(trial_id).state == state)
    return store.row(trial_id)


def told_pids(store: Store, trial_id: str) -> list[int]:
    """The process ids that the trial's notes tell in one reading of its row; none before it starts or starts again."""
    return [int(word) for note in store.row(trial_id).notes if note.startswith("pids") for word in note.split()[1:3]]


def child_pids(store: Store, trial_id: str) -> list[int]:
    wait_until(lambda: bool(told_pids(store, trial_id)))
    return told_pids(store, trial_id)


def test_queued_trials_run_dense_first_and_their_results_are_kept(store: Store, start) -> None:
    store.submit([made(WORKS)], ["size", "accuracy"])
    start()
    row = until(store, made(WORKS).id, "done")
    assert row.metrics["weight_bytes"] == 800.0
    assert row.environment == {"cpu": "none"}
    assert store.items(row.trial_id)["piqa"][0].loglikelihoods == (-1.0, -2.0)
    dense = store.row(made().id)
    assert dense.state == "done"
    assert dense.finished_at <= row.started_at
    assert [text.tokens for text in store.texts(dense.trial_id)] == [(1, WORKS)] * 6
    assert row.metrics["flips"] == 0.0  # compared with dense's answers when it was finished
    assert row.metrics["accuracy_retention"] == 1.0


def test_what_a_trial_wrote_is_kept_and_its_metrics_too(store: Store) -> None:
    store.submit([made(fake_trial.CHATTY)], ["size"])
    with Queue(store) as queue:
        worker.Runner(store, queue, threading.Event(), lambda text: None, fake_trial.COMMAND).run_next()
    kept = store.texts(made(fake_trial.CHATTY).id)
    assert [text.to_dict() for text in kept] == fake_trial.written(fake_trial.CHATTY)
    profile = store.profile(made(fake_trial.CHATTY).id, "layers") or {}
    assert LayerErrors.from_dict(profile) == fake_trial.errors(fake_trial.CHATTY)
    assert store.row(made(fake_trial.CHATTY).id).metrics["weight_bytes"] == 300.0


def test_the_intervals_let_progress_arrive_within_two_seconds_and_cancel_within_three() -> None:
    assert events.PROGRESS_SECONDS + child.POLL_S + worker.PROGRESS_S < 2
    assert worker.CANCEL_S + child.POLL_S + child.GRACE_S < 3


def test_progress_reaches_the_store_while_the_trial_runs(store: Store, start) -> None:
    store.submit([made(SLOW)], ["size"])
    start()
    seen: list[Progress] = []

    def arrived() -> bool:
        seen.extend(store.progress().values())
        return bool(seen) and seen[-1].done > 10

    wait_until(arrived)
    assert (seen[-1].stage, seen[-1].total) == ("load", STEPS)
    assert seen[-1].seconds_left is not None
    assert seen[-1].seconds_left > 0
    assert store.row(made(SLOW).id).state == "running"


def test_the_time_left_is_what_the_rest_takes_at_the_same_pace(store: Store) -> None:
    moments = iter((0.0, 5.0, 8.0))
    with Queue(store) as queue:
        runner = worker.Runner(store, queue, threading.Event(), lambda text: None, fake_trial.COMMAND)
        report = worker._Report(runner, Job(made(WORKS), ("size",)), lambda: next(moments))
        report.on_event({"event": "stage", "stage": "load", "total": 10})
        report.on_event({"event": "progress", "done": 3, "total": 10})
    assert report.progress == Progress("load", 3, 10, 7.0)


def test_a_killed_worker_costs_the_trial_in_hand_and_a_new_one_runs_it_again_and_clears_up(store: Store, start) -> None:
    store.submit([made(SLOW), made(WORKS)], ["size"])
    first = start()
    both = child_pids(store, made(SLOW).id)
    left = Path(store.row(made(SLOW).id).notes[0].split(" in ")[1])
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert store.row(made(SLOW).id).state == "running"
    wait_until_gone(both)
    assert left.is_dir()
    start()
    wait_until(lambda: told_pids(store, made(SLOW).id) not in ([], both))
    assert store.row(made(SLOW).id).state == "running"
    assert not left.exists()


def test_a_killed_child_fails_alone_with_its_reason(store: Store, start) -> None:
    store.submit([made(KILLED), made(RAISES), made(WORKS)], ["size"])
    start()
    until(store, made(WORKS).id, "done")
    killed, raised = store.row(made(KILLED).id), store.row(made(RAISES).id)
    assert killed.state == "failed"
    assert "most likely because memory ran out" in killed.reason
    assert (raised.state, raised.reason) == ("failed", "bits were wrong")
    assert store.detail(raised.trial_id).traceback == "Traceback: here"
    assert "about to raise" in store.detail(raised.trial_id).log


@pytest.mark.parametrize("bits", [SLOW, STUBBORN])
def test_a_running_trial_is_cancelled_and_leaves_nothing(store: Store, start, bits: int) -> None:
    store.submit([made(bits)], ["size"])
    start()
    both = child_pids(store, made(bits).id)
    store.request_cancel([made(bits).id])
    until(store, made(bits).id, "cancelled")
    wait_until_gone(both)


def test_a_queued_trial_is_cancelled_while_another_runs(store: Store, start) -> None:
    store.submit([made(SLOW), made(WORKS)], ["size"])
    start()
    until(store, made(SLOW).id, "running")
    store.request_cancel([made(WORKS).id])
    until(store, made(WORKS).id, "cancelled")
    assert store.row(made(SLOW).id).state == "running"


def test_a_worker_told_to_stop_gives_its_trial_back_and_leaves_nothing(store: Store, start) -> None:
    store.submit([made(SLOW)], ["size"])
    process = start()
    both = child_pids(store, made(SLOW).id)
    folder = Path(store.row(made(SLOW).id).notes[-1].rpartition(" in ")[2])
    assert folder.is_dir()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert store.row(made(SLOW).id).state == "queued"
    assert not folder.exists()
    wait_until_gone(both)


def test_a_second_worker_is_refused_in_one_sentence_that_names_the_first(url: str, store: Store, start) -> None:
    first = start()
    wait_until(lambda: holder(url) == first.pid)
    second = subprocess.run(
        [sys.executable, "-m", "engine", "worker", "--store", url], capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert second.stderr == f"error: a worker (process {first.pid}) already runs the trials of this store\n"
    assert first.poll() is None


def test_the_lock_is_free_once_its_holder_is_killed(url: str, store: Store, start) -> None:
    first = start()
    wait_until(lambda: holder(url) == first.pid)
    first.kill()
    first.wait()
    assert holder(url) is None
    with hold(url):
        assert holder(url) == os.getpid()


def test_a_look_at_the_lock_keeps_no_worker_from_it(url: str, tmp_path: Path, monkeypatch) -> None:
    with (tmp_path / "store.db.lock").open("a+") as look:
        fcntl.flock(look, fcntl.LOCK_SH)  # as `holder` does
        monkeypatch.setattr(lock.time, "sleep", lambda seconds: look.close())
        with hold(url):
            assert holder(url) == os.getpid()


def test_a_lock_that_can_not_be_written_is_one_sentence(url: str, tmp_path: Path) -> None:
    (tmp_path / "store.db.lock").mkdir()
    says = r"can't write .*store\.db\.lock', which says who serves the store: "
    with pytest.raises(InputError, match=says), hold(url):
        pass


def test_one_store_has_one_lock_whatever_path_leads_to_it(url: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with hold(url), pytest.raises(LockHeldError, match="already runs"), hold("sqlite:///./store.db"):
        pass
    with hold("postgresql://h/a"), hold("postgresql://h/b"), hold(url):
        pass


def test_ensure_running_starts_one_worker_that_outlives_us_and_no_second(
    url: str, store: Store, tmp_path: Path
) -> None:
    assert worker.ensure_running(url)
    wait_until(lambda: bool(holder(url)))
    pid = holder(url)
    assert pid is not None
    try:
        assert not worker.ensure_running(url)
        assert os.getsid(pid) == pid  # of a session of its own: a closed terminal or a killed server does not reach it
        assert (tmp_path / "cache" / "worker.log").exists()
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: holder(url) is None)


def test_the_worker_never_imports_torch() -> None:
    code = "import sys, engine.worker, engine.trials, engine.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_full_disk_makes_the_worker_wait_and_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FULL_S", 0.05)
    store.submit([made(WORKS)], ["size"])
    said: list[str] = []

    def full(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count=1")

    def say(text: str) -> None:
        said.append(text)
        if "is full" in text:  # someone makes space
            sqlalchemy_event.remove(store.database.engine, "connect", full)
            store.database.engine.dispose()

    with Queue(store) as queue:
        runner = worker.Runner(store, queue, threading.Event(), say, fake_trial.COMMAND)
        keep = queue.keep_items

        def keep_on_a_full_disk(trial_id: str, task: str, results: list) -> None:
            if not any("is full" in text for text in said):
                store.database.engine.dispose()
                sqlalchemy_event.listen(store.database.engine, "connect", full)
                results = [results[0]._replace(loglikelihoods=(math.sin(i), 1 / (i + 1))) for i in range(20_000)]
            keep(trial_id, task, results)

        monkeypatch.setattr(queue, "keep_items", keep_on_a_full_disk)
        assert runner.run_next()
    assert any("is full" in text for text in said)
    assert store.row(made(WORKS).id).state == "done"
    assert len(store.items(made(WORKS).id)["piqa"]) == 1


def test_only_trials_that_answer_by_shares_keep_their_model_and_only_until_all_is_settled(store: Store) -> None:
    store.submit([made(WORKS)], ["size", "accuracy"], tolerance=0.02)
    store.submit([made(WORKS, 128)], ["size", "accuracy"])
    seen: dict[str, bool] = {}

    def note(job: Mapping[str, Any], *rest: Any) -> Outcome:
        seen[Trial.from_dict(job["trial"]).recipe.text] = "halfway" in job
        if "halfway" in job:
            Path(job["halfway"]).mkdir(exist_ok=True)
        return child.run_in_child(job, *rest)

    with Queue(store) as queue, Halfway() as halfway, pytest.MonkeyPatch.context() as patched:
        patched.setattr(worker, "run_in_child", note)
        patched.setattr(halfway_module, "SPARE_BYTES", 0)
        runner = worker.Runner(store, queue, threading.Event(), lambda text: None, fake_trial.COMMAND, halfway)
        while runner.run_next():
            pass
        folder = next(cache_dir().glob("halfway*"))
        assert list(folder.iterdir()) == []
    assert not folder.exists()
    assert {made(WORKS).recipe.text: True, made(WORKS, 128).recipe.text: False}.items() <= seen.items()


def test_a_mistake_of_ours_costs_the_trial_and_not_the_sweep(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.submit([made(WORKS), made(WORKS, 128)], ["size"])
    with Queue(store) as queue:
        runner = worker.Runner(store, queue, threading.Event(), lambda text: None, fake_trial.COMMAND)
        with monkeypatch.context() as broken:
            broken.setattr(queue, "keep_facts", lambda *args, **more: {}["missing"])
            assert runner.run_next()
        assert runner.run_next()
    assert store.row(made(WORKS).id).reason == "KeyError in the worker: 'missing'"
    assert "keep_facts" in store.detail(made(WORKS).id).traceback
    assert store.row(made(WORKS, 128).id).state == "done"


def test_a_mistake_in_a_trial_that_another_runner_took_over_drops_it_and_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.submit([made(WORKS)], ["size"])
    said: list[str] = []
    with Queue(store) as queue:
        runner = worker.Runner(store, queue, threading.Event(), said.append, fake_trial.COMMAND)

        def lose(*args: object) -> None:
            queue.give_back(Job(made(WORKS), ("size",)))
            raise KeyError("missing")

        monkeypatch.setattr(queue, "keep_metrics", lose)
        assert runner.run_next()
    assert "dropped" in said[-1]
    assert store.row(made(WORKS).id).state == "queued"


def test_a_value_that_is_not_finite_is_stored_as_none(store: Store) -> None:
    store.submit([made(fake_trial.INFINITE)], ["size"])
    with Queue(store) as queue:
        worker.Runner(store, queue, threading.Event(), lambda text: None, fake_trial.COMMAND).run_next()
    row = store.row(made(fake_trial.INFINITE).id)
    assert row.metrics["perplexity"] is None
    assert "is infinite" in row.reasons["perplexity"]
