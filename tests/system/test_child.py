"""A trial's process: what it tells arrives, however it ends is said, and nothing of it is left."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.running.nursery import Nursery
from engine.system.child import LOG_BYTES, Event, Outcome, Start, explain_exit, run_in_child
from tests import fake_trial
from tests.fake_trial import made
from tests.processes import PATIENCE_S, wait_until, wait_until_gone


@pytest.fixture(scope="module", params=["a command", "a nursery"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Both ways in which a trial's process comes to be; what it does must not tell them apart."""
    if request.param == "a command":
        yield fake_trial.COMMAND
    else:
        with Nursery(fake_trial.MODULE) as nursery:
            yield nursery.start


def run(bits: int, start: Start) -> tuple[Outcome, list[Event]]:
    events: list[Event] = []
    return run_in_child(job(bits), events.append, lambda: False, start), events


def job(bits: int) -> dict[str, Any]:
    return {"trial": made(bits).to_dict(), "measures": ["size"], "work_dir": "here"}


def run_code(code: str, on_event: Callable[[Event], None] = lambda event: None) -> Outcome:
    return run_in_child({}, on_event, lambda: False, [sys.executable, "-c", code])


def pids(events: Sequence[Event]) -> list[int]:
    return [int(word) for e in events if e["event"] == "note" for word in e["text"].split()[1:3]]


def test_events_arrive_in_their_order_and_the_trial_is_done(start: Start) -> None:
    outcome, events = run(fake_trial.WORKS, start)
    assert outcome.state == "done"
    names = [e["event"] for e in events]
    assert names == ["environment", "stage", "metrics", "items", "metrics", "texts", "profile", "simulated", "done"]


def test_a_failure_keeps_its_reason_traceback_and_log(start: Start) -> None:
    outcome, _ = run(fake_trial.RAISES, start)
    assert outcome == Outcome("failed", "bits were wrong", "Traceback: here", "about to raise\n")


def test_a_child_killed_by_signal_9_ran_out_of_memory_in_all_likelihood(start: Start) -> None:
    outcome, _ = run(fake_trial.KILLED, start)
    assert outcome.state == "failed"
    assert "killed (signal 9), most likely because memory ran out" in outcome.reason
    assert "retry" in outcome.reason


def test_what_libraries_print_is_log_and_no_event(start: Start) -> None:
    outcome, events = run(fake_trial.CHATTY, start)
    assert outcome.state == "done"
    assert "a library says hello" in outcome.log
    assert all("event" in e for e in events)


@pytest.mark.parametrize("bits", [fake_trial.SLOW, fake_trial.STUBBORN])
def test_cancelling_ends_the_child_and_its_own_children(bits: int, start: Start) -> None:
    events: list[Event] = []
    outcome = run_in_child(job(bits), events.append, lambda: bool(pids(events)), start)
    assert outcome.state == "cancelled"
    wait_until_gone(pids(events))


def test_an_error_in_the_worker_ends_the_child_too(start: Start) -> None:
    seen: list[Event] = []

    def raises(event: Event) -> None:
        seen.append(event)
        if event["event"] == "note":
            raise RuntimeError("no store")

    with pytest.raises(RuntimeError, match="no store"):
        run_in_child(job(fake_trial.SLOW), raises, lambda: False, start)
    wait_until_gone(pids(seen))


@pytest.mark.parametrize("way", ["fake_trial.COMMAND", "Nursery(fake_trial.MODULE).start"])
def test_nothing_outlives_a_killed_parent(tmp_path: Path, way: str) -> None:
    told = tmp_path / "pids"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path\n"
            "from engine.system.child import run_in_child; from engine.running.nursery import Nursery\n"
            "from tests import fake_trial\n"
            "job = {'trial': fake_trial.made(fake_trial.SLOW).to_dict(), 'measures': [], 'work_dir': 'here'}\n"
            "tell = lambda e: e['event'] == 'note' and Path(sys.argv[1]).write_text(e['text'])\n"
            f"run_in_child(job, tell, lambda: False, {way})",
            str(told),
        ]
    )
    wait_until(lambda: told.exists() and told.read_text().endswith("in here"))
    started = [int(word) for word in told.read_text().split()[1:3]]
    started += {psutil.Process(started[0]).ppid()} - {parent.pid}  # what forked the child
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until_gone(started)


def test_a_child_that_says_nothing_failed_with_its_status_and_last_words() -> None:
    outcome = run_code("import sys; print('first\\nlast words', file=sys.stderr); sys.exit(3)")
    assert (outcome.state, outcome.reason) == ("failed", "the process ended with exit status 3: last words")
    assert run_code("pass").reason == "the process ended without a result"


def test_a_crash_names_its_signal() -> None:
    assert "signal 11, SIGSEGV" in explain_exit(-11)
    assert explain_exit(-15) == "the process was stopped from outside (signal 15, SIGTERM): retry"
    assert explain_exit(-2) == "the process was stopped from outside (signal 2, SIGINT): retry"
    assert "SIGABRT" in run_code("import os; os.abort()").reason


def test_a_child_of_the_child_that_holds_the_output_open_does_not_hold_us_up() -> None:
    code = (
        "import json, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(200)'])\n"
        "print(json.dumps({'event': 'done'}))"
    )
    began = time.monotonic()
    assert run_code(code).state == "done"
    assert time.monotonic() - began < PATIENCE_S


def test_the_log_is_the_end_of_what_was_written() -> None:
    outcome = run_code("import sys; sys.stderr.write('x' * 300_000 + 'the end'); print('no event')")
    assert len(outcome.log) <= LOG_BYTES
    assert outcome.log.endswith(("the end", "no event\n"))


def test_many_large_events_arrive_whole() -> None:
    events: list[Event] = []
    code = "import json\nfor i in range(200): print(json.dumps({'event': 'items', 'n': i, 'items': ['x' * 1000] * 50}))"
    run_code(code + '\nprint(\'{"event": "done"}\')', events.append)
    assert [e["n"] for e in events[:-1]] == list(range(200))


def test_the_engine_is_found_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_code("import engine.spec, json; print(json.dumps({'event': 'done'}))").state == "done"
