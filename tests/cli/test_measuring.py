"""`run` and `sweep`: what they print and write, how they stop, and how they share the work with a worker."""

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from engine.__main__ import main
from engine.cli.progress_line import ProgressLine
from engine.spec import Protocol, parse
from engine.store import Queue, Store, StoreError
from engine.store.lock import holder
from engine.tasks import hub
from engine.trials import make_trial
from tests import fake_trial
from tests.cli.conftest import recipe, run, states
from tests.processes import wait_until

pytestmark = pytest.mark.usefixtures("prepared")
DESIGN_KEYS = {"trial", "model", "recipe", "protocol", "metrics", "items", "environment", "simulated"}


def sweep_file(tmp_path: Path, *bits: int) -> str:
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps({"protocol": {"tasks": ["piqa"], "limit": 2}, "recipes": [recipe(b) for b in bits]}))
    return str(path)


def interrupt_when_it_runs(url: str, bits: int, number: int = signal.SIGINT) -> None:
    """Send this process a signal, from a thread, once the trial runs."""
    store = Store(url)  # made here: two that make the same new store at once may be refused

    def wait() -> None:
        wait_until(lambda: any(row.recipe == recipe(bits) for row in store.rows(states=["running"])))
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


def when_said(monkeypatch: pytest.MonkeyPatch, words: str, act: Callable[[], object]) -> None:
    """Do something as soon as the command has said a line with these words."""
    say = ProgressLine.say

    def say_and_act(line: ProgressLine, text: str) -> None:
        say(line, text)
        if words in text:
            act()

    monkeypatch.setattr(ProgressLine, "say", say_and_act)


@pytest.fixture
def serving(prepared: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker with the fake child that holds the store's lock."""
    command, environment = [*fake_trial.WORKER, prepared], {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        wait_until(lambda: holder(prepared) == process.pid)
        yield process
        process.kill()


def test_run_prints_a_table_with_units_and_writes_the_designs_json(tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.json"
    assert run(fake_trial.WORKS, "--json", str(target)) == 0
    said = capsys.readouterr()
    assert "8-bit, round to nearest, groups of 32" in said.out
    assert "100.0%" in said.out
    assert "done after" in said.err
    content = json.loads(target.read_text())
    assert set(content) >= DESIGN_KEYS
    assert content["recipe"] == recipe(8)
    assert content["protocol"]["tasks"] == ["piqa"]
    assert content["metrics"]["weight_bytes"] == 800.0
    answer = {"id": 0, "loglikelihoods": [-1.0, -2.0], "choice": 0, "choice_norm": 0, "correct": True}
    assert content["items"] == {"piqa": [answer]}
    assert content["environment"]["cpu"] == "none"
    assert content["texts"] == fake_trial.written(8)
    assert '"tokens": [1, 8],' in target.read_text()


def test_run_writes_what_is_infinite_as_null_with_its_reason(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    assert run(fake_trial.INFINITE, "--json", str(target)) == 0
    content = json.loads(target.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["metrics"]["perplexity"] is None
    assert "is infinite" in content["reasons"]["perplexity"]


def test_run_measures_dense_first_once_and_reuses_what_is_there(prepared: str, capsys) -> None:
    assert run(fake_trial.WORKS) == 0
    assert states(prepared) == {"dense": "done", recipe(8): "done"}
    first = capsys.readouterr()
    assert first.err.index("dense (") < first.err.index(f"{recipe(8)} (")
    assert run(fake_trial.WORKS) == 0
    again = capsys.readouterr()
    assert again.err == "Already measured: the results come from the store.\n"
    assert again.out == first.out
    assert run(fake_trial.CHATTY) == 0
    assert "dense (" not in capsys.readouterr().err


def test_run_says_which_tasks_are_not_in_the_folder_that_is_given(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(hub, "load_rows", lambda source, config: [{"text": "a b"}])
    given = ["--tasks", "piqa,lambada_openai", "--data", str(tmp_path / "data")]
    assert run(fake_trial.WORKS, *given) == 0
    assert f"{tmp_path / 'data'} has no lambada_openai.jsonl: " in capsys.readouterr().err
    assert run(fake_trial.WORKS, *given, "--only", "size") == 0
    assert "lambada" not in capsys.readouterr().err


def test_run_of_what_is_not_paired_needs_no_dense_trial(prepared: str) -> None:
    assert run(fake_trial.WORKS, "--only", "size,latency") == 0
    assert list(states(prepared)) == [recipe(8)]


def test_run_of_a_trial_that_fails_says_why_and_writes_nothing(tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.json"
    assert run(fake_trial.RAISES, "--json", str(target)) == 1
    assert f"{recipe(6)} failed: bits were wrong" in capsys.readouterr().err
    assert not target.exists()


def test_run_waits_for_a_trial_that_another_process_measures(prepared: str, monkeypatch, capsys) -> None:
    trial = make_trial("smollm2-135m-instruct", parse(recipe(8)), Protocol(tasks=("piqa",), limit=2))
    store = Store(prepared)
    store.submit([trial], ["size"])
    with Queue(store) as other:
        job = other.claim()
        assert job is not None

        def finish() -> None:
            other.keep_metrics(trial.id, {"weight_bytes": 123e6}, {})
            other.finish(job)

        when_said(monkeypatch, "is being measured by another process; waiting for it", finish)
        assert run(fake_trial.WORKS, "--only", "size") == 0
    assert "123 MB" in capsys.readouterr().out


def test_run_goes_on_where_nobody_listens_any_more(prepared: str, monkeypatch) -> None:
    """As when its terminal was closed under nohup, or its output went to `head`."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    assert run(fake_trial.WORKS) == 0
    assert states(prepared) == {"dense": "done", recipe(8): "done"}


def test_run_interrupted_cancels_its_trial_and_stops(prepared: str, capsys) -> None:
    interrupt_when_it_runs(prepared, fake_trial.SLOW)
    assert run(fake_trial.SLOW) == 130
    assert states(prepared) == {"dense": "done", recipe(7): "cancelled"}
    assert "Interrupted" in capsys.readouterr().err


def test_run_interrupted_gives_back_what_another_had_queued(prepared: str) -> None:
    trial = make_trial("smollm2-135m-instruct", parse(recipe(fake_trial.SLOW)), Protocol(tasks=("piqa",), limit=2))
    store = Store(prepared)
    store.submit([trial], ["size", "accuracy"], "another's")
    interrupt_when_it_runs(prepared, fake_trial.SLOW)
    assert run(fake_trial.SLOW) == 130
    assert states(prepared) == {"dense": "done", recipe(fake_trial.SLOW): "queued"}


def test_a_result_that_could_not_be_put_beside_the_old_one_is_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    target = tmp_path / "out.json"
    target.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert run(fake_trial.WORKS, "--json", str(target)) == 2
    assert "or its folder, is not writable" in capsys.readouterr().err


def test_sweep_says_what_is_wrong_with_the_store_at_once(tmp_path: Path, monkeypatch, capsys) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the store is read-only")

    monkeypatch.setattr(Queue, "claim", refuse)
    assert main(["sweep", sweep_file(tmp_path, fake_trial.WORKS)]) == 2
    assert "the store is read-only" in capsys.readouterr().err


def test_sweep_measures_all_prints_a_table_and_has_nothing_left_to_do(tmp_path: Path, prepared: str, capsys) -> None:
    file = sweep_file(tmp_path, fake_trial.WORKS, fake_trial.CHATTY)
    assert main(["sweep", file]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("3 trials, 0 of them already measured.")
    assert [line.split()[0] for line in said.out.splitlines()[2:]] == ["dense", recipe(8), recipe(3)]
    assert main(["sweep", file]) == 0
    assert capsys.readouterr().err == "3 trials, 3 of them already measured.\n"
    assert holder(prepared) is None


def test_sweep_with_a_failing_trial_runs_the_others_and_exits_with_one(tmp_path: Path, prepared: str, capsys) -> None:
    assert main(["sweep", sweep_file(tmp_path, fake_trial.KILLED, fake_trial.WORKS)]) == 1
    assert states(prepared) == {"dense": "done", recipe(5): "failed", recipe(8): "done"}
    assert "failed: quantize:rtn,bits=5,group_size=32: the process was killed (signal 9)" in capsys.readouterr().err


@pytest.fixture
def heard() -> Iterator[None]:
    """SIGHUP ends a process, also where the tests run under nohup."""
    kept = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, kept)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_sweep_interrupted_keeps_its_place(tmp_path: Path, prepared: str, capsys, heard, number: int) -> None:
    file = sweep_file(tmp_path, fake_trial.SLOW, fake_trial.WORKS)
    interrupt_when_it_runs(prepared, fake_trial.SLOW, number)
    assert main(["sweep", file]) == 130
    assert states(prepared) == {"dense": "done", recipe(7): "queued", recipe(8): "queued"}
    assert "1 of 3 trials done; the same command goes on from here" in capsys.readouterr().err


def stop_outside_writes(process: "subprocess.Popen[bytes]", url: str) -> None:
    """Suspend a process where it does not keep others from writing to the store."""
    database = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.0, isolation_level=None)

    def stopped() -> bool:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            return False
        database.execute("ROLLBACK")
        return True

    wait_until(stopped)
    database.close()


def test_sweep_watches_the_worker_that_runs(tmp_path: Path, prepared: str, serving, monkeypatch) -> None:
    stop_outside_writes(serving, prepared)  # so that it has not done all before it is seen
    watched = f"The worker (process {serving.pid}) runs these trials"
    when_said(monkeypatch, watched, lambda: serving.send_signal(signal.SIGCONT))
    assert main(["sweep", sweep_file(tmp_path, fake_trial.WORKS)]) == 0


def test_sweep_goes_on_itself_when_the_worker_it_watches_is_killed(
    tmp_path: Path, prepared: str, serving, monkeypatch, capsys
) -> None:
    store = Store(prepared)

    def kill() -> None:
        wait_until(lambda: any(row.recipe == recipe(7) for row in store.rows(states=["running"])))
        serving.kill()

    when_said(monkeypatch, "runs these trials", kill)
    when_said(monkeypatch, f"{recipe(7)} (", lambda: os.kill(os.getpid(), signal.SIGINT))
    assert main(["sweep", sweep_file(tmp_path, fake_trial.SLOW)]) == 130
    assert "waits again: the worker that ran it is gone" in capsys.readouterr().err
    assert states(prepared)[recipe(7)] == "queued"
