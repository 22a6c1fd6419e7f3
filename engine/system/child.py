"""One child process for a trial: start it, read its events, stop it, and say in a sentence how it ended.

Peak memory never goes down within a process and a crash takes its process along, so every trial has its own. The job
goes in as JSON on stdin; events come back as JSON lines on stdout; everything else that the child writes is its log.
The child leads a process group, so that stopping it stops its own children too, and it calls `exit_with_parent`, so
that it does not outlive the worker that started it, however that one died.
"""

import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NoReturn, Protocol

from engine.paths import ROOT

PARENT = "KNEEPOINT_PARENT_PID"
LOG_BYTES = 64 * 1024
POLL_S = 0.1
GRACE_S = 1.5  # between asking the child to stop and killing it
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)  # nothing sends them by itself
SPINS = "1000"  # how long OpenMP's threads spin for each other before they sleep

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a child ended: its state, and for a failure why, where, and the end of its log."""

    state: Literal["done", "failed", "cancelled"]
    reason: str = ""
    traceback: str = ""
    log: str = ""


class Process(Protocol):
    """A child that leads a process group, with pipes to its standard streams."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None
    returncode: int | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def signal_group(self, number: int) -> None: ...


Start = Sequence[str] | Callable[[], Process]  # a child's command, or what starts one


class Spawned(subprocess.Popen[bytes]):
    """A child that is started by its command, and imports what it needs itself."""

    def __init__(self, command: Sequence[str]) -> None:
        environment = {**child_environment(), PARENT: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        super().__init__(command, start_new_session=True, env=environment, **pipes)  # type: ignore[call-overload]

    def signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def run_in_child(
    job: Mapping[str, Any],
    on_event: Callable[[Event], None],
    cancelled: Callable[[], bool],
    start: Start,
) -> Outcome:
    """Run a job in a process of its own and return how it ended; the process group is gone by then.

    on_event: called in this thread with every event, as it comes; cancelled: asked about ten times a second, True stops
    the child within two seconds. Whatever either of them raises stops the child and is raised again.
    """
    process: Process = start() if callable(start) else Spawned(start)
    child = _Child(process)
    try:
        _send(process, job)
        last, stopped = child.follow(on_event, cancelled)
        if stopped and last is None:
            return Outcome("cancelled", log=child.log)
    finally:
        child.stop()
    return _outcome(process.wait(), last, child.log)


def start_detached(command: Sequence[str], log: Path) -> None:
    """Start a process that outlives this one, of a session of its own; what it prints is added to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=child_environment(),
        )
    threading.Thread(target=process.wait, daemon=True).start()  # else, once dead, it would still count as a process


def child_environment() -> dict[str, str]:
    """This process's environment, in which `python -m engine` is found from any folder and threads wait politely.

    Beside other load, GNU OpenMP's threads spin through whole time slices of the thread that they wait for: on two
    cores with one of them busy, a pass over 210 small linears took 1,650 ms, and 26 ms with the spinning cut short.
    """
    known = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(ROOT), known] if known else [str(ROOT)])
    return {"GOMP_SPINCOUNT": SPINS, **os.environ, "PYTHONPATH": path}


def exit_with_parent(interval_s: float = 0.5) -> None:
    """Watch, in a thread, for the death of the process that started this one, and then kill this one's group.

    For the child to call first thing, and for processes that it starts itself: a child whose worker is gone may die of
    its broken output before it looks. Does nothing in a process that does not come from `run_in_child`.
    """
    if PARENT not in os.environ:
        return
    leads = os.getpgrp() == os.getpid()
    parent = int(os.environ[PARENT]) if leads else os.getppid()

    def kill_if_orphaned() -> None:
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)

    def watch() -> None:
        while True:
            kill_if_orphaned()
            time.sleep(interval_s)

    atexit.register(kill_if_orphaned)
    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()


def leave(code: int) -> NoReturn:
    """End this process at once, for the child to call last: taking down torch and what it imported takes a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Child:
    """A running child with a thread on each of its outputs."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._log = bytearray()
        assert process.stdout is not None
        assert process.stderr is not None
        self.readers = [
            threading.Thread(target=self._read_events, args=(process.stdout,), daemon=True),
            threading.Thread(target=self._read_log, args=(process.stderr,), daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    @property
    def log(self) -> str:
        return bytes(self._log).decode(errors="replace")

    def follow(self, on_event: Callable[[Event], None], cancelled: Callable[[], bool]) -> tuple[Event | None, bool]:
        """Pass events on until the child ends or must stop: its `done` or `failed` event, and whether it must stop."""
        last: Event | None = None
        while not cancelled():
            ended = self.process.poll() is not None
            try:
                line = self.lines.get(timeout=POLL_S)
            except queue.Empty:
                if ended:  # and a child of its own still holds the output open
                    return last, False
                continue
            if line is None:
                return last, not self._exits(cancelled)
            event = _event(line)
            if event is None:
                self._keep(line)
                continue
            if event["event"] in ("done", "failed"):
                last = event
            on_event(event)
        return last, True

    def stop(self) -> None:
        """End the child and all it started: asked first, killed after GRACE_S."""
        self.process.signal_group(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_S)
        self.process.signal_group(signal.SIGKILL)
        self.process.wait()
        for reader in self.readers:
            reader.join(1.0)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _exits(self, cancelled: Callable[[], bool]) -> bool:
        """Whether the child, which has closed its output, ends by itself before it is to stop."""
        while self.process.poll() is None:
            if cancelled():
                return False
            time.sleep(POLL_S)
        return True

    def _read_events(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self.lines.put(line)
        self.lines.put(None)

    def _read_log(self, pipe: IO[bytes]) -> None:
        while chunk := pipe.read1(LOG_BYTES):  # type: ignore[attr-defined]
            self._keep(chunk)

    def _keep(self, chunk: bytes) -> None:
        self._log += chunk
        del self._log[:-LOG_BYTES]


def _send(process: Process, job: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died already; how is found out below
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.close()


def _event(line: bytes) -> Event | None:
    """The event in a line of output, or None for a line that some library printed."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) and isinstance(content.get("event"), str) else None


def _outcome(code: int, last: Event | None, log: str) -> Outcome:
    if last is not None and last["event"] == "failed":
        return Outcome("failed", str(last.get("reason", "")), str(last.get("traceback", "")), log)
    if last is not None:  # complete, also where the interpreter stumbled on its way out
        return Outcome("done", log=log)
    return Outcome("failed", explain_exit(code, log), log=log)


def explain_exit(code: int, log: str = "") -> str:
    """Why a process that gave no result ended, from its exit status (negative: the signal) and the end of its log."""
    if code == -signal.SIGKILL:
        return (
            "the process was killed (signal 9), most likely because memory ran out: close other programs, choose a "
            "smaller model, or use fewer or shorter calibration windows, then retry"
        )
    if -code in _FROM_OUTSIDE:
        return f"the process was stopped from outside (signal {-code}, {signal.Signals(-code).name}): retry"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"the process crashed (signal {-code}, {signal.Signals(-code).name}); its log says where"
        return f"the process crashed (signal {-code}); its log says where"
    said = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    ended = "without a result" if code == 0 else f"with exit status {code}"
    return f"the process ended {ended}" + (f": {said[:300]}" if said else "")
