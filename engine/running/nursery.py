"""Children forked from a process that has torch and transformers loaded, so that imports are paid once a worker.

    with Nursery() as nursery:
        run_in_child(job, on_event, cancelled, nursery.start)

The process (`engine.running.preloaded`) is started for the first child and goes after a while without one. On the
default model it takes 5 of the 7 s that a trial costs beyond compressing and measuring; a child's own peak memory comes
out some 5% lower, as pages of libraries that it never touches are not its own. Where the system is not Linux, forking a
process whose libraries have threads is not safe, and every child imports for itself. Importable without torch.
"""

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import IO

from engine.system.child import Process, Spawned, child_environment

TRIAL = "engine.trial"
REST_S = 60.0  # without a child, after which the memory of what is loaded is given back
NUMBER = struct.Struct("<i")  # a process id or an exit code on the socket


class Forked:
    """A child of the preloaded process; what it is called and how it ended come over that process's socket."""

    def __init__(
        self, preloaded: "subprocess.Popen[bytes]", control: socket.socket, pipes: tuple[int, int, int]
    ) -> None:
        self.stdin: IO[bytes] | None = os.fdopen(pipes[0], "wb")
        self.stdout: IO[bytes] | None = os.fdopen(pipes[1], "rb")
        self.stderr: IO[bytes] | None = os.fdopen(pipes[2], "rb")
        self.pid: int | None = None  # until it is told
        self.returncode: int | None = None
        self._preloaded, self._control = preloaded, control

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        self._listen(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended; raises TimeoutExpired where that takes longer than `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            self._listen(None if end is None else max(0.0, end - time.monotonic()))
            if self.returncode is None and end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(self._preloaded.args, timeout or 0.0)
        return self.returncode

    def signal_group(self, number: int) -> None:
        """Signal the child and all that it started; before it exists, end the process that would fork it."""
        self._listen(0.0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.pid is not None:
                os.killpg(self.pid, number)
            elif self.returncode is None:
                self._preloaded.kill()

    def _listen(self, seconds: float | None) -> None:
        """Take the next number if it comes within `seconds`: the process id first, then the exit code."""
        if self.returncode is not None or not select.select([self._control], [], [], seconds)[0]:
            return
        said = b""
        with contextlib.suppress(ConnectionError):
            said = self._control.recv(NUMBER.size)
        if not said:  # the preloaded process is gone, and so is its child
            self.returncode = self._preloaded.wait() or -signal.SIGKILL
        elif self.pid is None:
            self.pid = NUMBER.unpack(said)[0]
        else:
            self.returncode = NUMBER.unpack(said)[0]


class Nursery:
    """Starts one child after another, each once the one before has ended; for one thread."""

    def __init__(self, module: str = TRIAL) -> None:
        """module: what is imported once, and whose `work(content, events)` does each child's job."""
        self.module = module
        self.used_at = time.monotonic()
        self._loaded: tuple[subprocess.Popen[bytes], socket.socket] | None = None

    @property
    def pid(self) -> int | None:
        """The process that is loaded, if one is."""
        return None if self._loaded is None else self._loaded[0].pid

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self) -> None:
        """Begin to import, so that a child that is started soon finds it done; does nothing where that is so."""
        if sys.platform == "linux" and (self._loaded is None or self._loaded[0].poll() is not None):
            self.close()
            self._loaded = _load(self.module)
        self.used_at = time.monotonic()

    def start(self) -> Process:
        """A child that waits for its job on its standard input."""
        self.load()
        if self._loaded is None:
            return Spawned((sys.executable, "-m", self.module))
        (job, put), (events, tell), (log, say) = (os.pipe() for _ in range(3))
        with contextlib.suppress(ConnectionError):  # the preloaded process just died; the child is told to be gone
            socket.send_fds(self._loaded[1], [b"+"], [job, tell, say])
        for theirs in (job, tell, say):
            os.close(theirs)
        return Forked(*self._loaded, (put, events, log))

    def rest(self) -> None:
        """Give back the memory of what is loaded where no child was started for a while; call it when none runs."""
        if self._loaded is not None and time.monotonic() - self.used_at > REST_S:
            self.close()

    def close(self) -> None:
        """End the preloaded process; a child of it that still runs ends too."""
        if self._loaded is None:
            return
        process, control = self._loaded
        self._loaded = None
        control.close()
        process.kill()
        process.wait()


def _load(module: str) -> "tuple[subprocess.Popen[bytes], socket.socket]":
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            (sys.executable, "-m", "engine.running.preloaded", str(theirs.fileno()), module),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env={**child_environment(), "PYTHONUNBUFFERED": "1"},
        )
    return process, ours
