"""Forked children: one import serves them all, and whatever dies, nothing of them is left. See also test_child.py."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.running import nursery as nursery_module
from engine.running.nursery import Nursery
from engine.system.child import Event, Outcome, run_in_child
from tests import fake_trial
from tests.fake_trial import SLOW, WORKS, made
from tests.processes import PATIENCE_S, wait_until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every child imports for itself")

SLEEPS = "import time\ntime.sleep(200)\n"
TELLS = """
import os, random, sys
loaded = os.getpid()
def work(content, events):
    events.note(f"{loaded} {os.getpid()} {os.getppid()} {os.getpgrp()} {os.getsid(0)} {sys.stdin.fileno()}")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that a nursery can import; a test writes what is in it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "made_here"


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery(fake_trial.MODULE) as made_up:
        yield made_up


def run(nursery: Nursery, bits: int = WORKS) -> tuple[Outcome, list[Event]]:
    events: list[Event] = []
    return run_in_child(job(bits), events.append, lambda: False, nursery.start), events


def job(bits: int) -> dict[str, Any]:
    return {"trial": made(bits).to_dict(), "measures": ["size"], "work_dir": "here"}


def told(events: list[Event]) -> list[int]:
    notes = [event["text"] for event in events if event["event"] == "note"]
    return [int(word) for word in " ".join(notes).split() if word.isdigit()]


def test_children_share_one_import_and_lead_groups_of_their_own(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(TELLS)
    seen = []
    with Nursery(module) as nursery:
        for _ in range(2):
            events: list[Event] = []
            assert run_in_child({}, events.append, lambda: False, nursery.start).state == "done"
            seen.append(told(events))
    (loaded, pid, parent, group, session, stdin), (loaded_too, other, *_) = seen
    assert loaded == loaded_too == parent
    assert pid == group == session != loaded
    assert other not in (pid, loaded)
    assert stdin == 0


def test_a_child_collects_its_own_garbage_and_leaves_what_it_shares(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(
        "import gc\nwhile_loading = gc.isenabled()\ndef work(content, events):\n"
        "    events.note(f'{int(while_loading)} {int(gc.isenabled())} {gc.get_freeze_count()}')\n"
    )
    events: list[Event] = []
    with Nursery(module) as nursery:
        run_in_child({}, events.append, lambda: False, nursery.start)
    while_loading, in_the_child, shared = told(events)
    assert (while_loading, in_the_child) == (0, 1)
    assert shared > 1000


def test_a_child_is_cancelled_before_it_exists(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(SLEEPS)
    with Nursery(module) as nursery:
        asked = iter([False, False, True])
        assert run_in_child({}, lambda event: None, lambda: next(asked, True), nursery.start).state == "cancelled"


def test_a_module_that_cant_be_imported_fails_the_trial(module: str) -> None:
    with Nursery(module) as nursery:
        outcome = run_in_child({}, lambda event: None, lambda: False, nursery.start)
    assert outcome.state == "failed"
    assert "exit status 1" in outcome.reason


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_after_the_loaded_process_was_killed_the_next_child_has_another(
    nursery: Nursery, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    events: list[Event] = []

    def kill(event: Event) -> None:
        events.append(event)
        if event["event"] == "note":  # by now it has a child of its own
            os.kill(parent_of(told(events)[0]), number)

    outcome = run_in_child(job(SLOW), kill, lambda: False, nursery.start)
    assert outcome.state == "failed"
    assert f"signal {number:d}" in outcome.reason
    assert "Traceback" not in capfd.readouterr().err
    wait_until_gone(told(events))
    assert run(nursery)[0].state == "done"


def test_a_worker_that_dies_while_its_first_child_is_asked_for_leaves_nothing(
    tmp_path: Path, module: str, capfd: pytest.CaptureFixture[str]
) -> None:
    told, go = tmp_path / "pid", tmp_path / "go"
    (tmp_path / f"{module}.py").write_text(
        "import os, time\nfrom pathlib import Path\n"
        f"while not Path({str(go)!r}).exists():\n    time.sleep(0.02)\n"
        f"def work(content, events):\n    Path({str(told)!r}).write_text(str(os.getpid()))\n    time.sleep(200)\n"
    )
    loaded, control = nursery_module._load(module)
    pipes = [os.pipe() for _ in range(3)]
    os.write(pipes[0][1], b"{}")
    socket.send_fds(control, [b"+"], [pipes[0][0], pipes[1][1], pipes[2][1]])
    control.close()  # as a killed worker's is
    for pipe in pipes:
        os.close(pipe[0])
        os.close(pipe[1])
    go.touch()
    assert loaded.wait(PATIENCE_S) == 0
    assert "Traceback" not in capfd.readouterr().err
    if told.exists() and told.read_text():
        wait_until_gone([int(told.read_text())])


def test_closing_ends_the_loaded_process(nursery: Nursery) -> None:
    run(nursery)
    loaded = nursery.pid
    assert loaded is not None
    nursery.close()
    wait_until_gone([loaded])
    assert nursery.pid is None


def test_what_is_loaded_goes_after_a_while_without_a_child(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    run(nursery)
    nursery.rest()
    assert nursery.pid is not None
    monkeypatch.setattr(nursery_module, "REST_S", 0.0)
    nursery.rest()
    assert nursery.pid is None
    assert run(nursery)[0].state == "done"


def test_elsewhere_than_on_linux_a_child_imports_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with Nursery(fake_trial.MODULE) as nursery:
        assert run(nursery)[0].state == "done"
        assert nursery.pid is None


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
