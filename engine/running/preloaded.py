"""A process that has imported what a job needs, and forks a child for each job that comes in.

    python -m engine.running.preloaded FD MODULE   started by `engine.running.nursery`, its socket at FD

MODULE has `work(content, events)`, as `engine.system.entry` takes it. Nothing runs here but imports, and forking while
no thread computes leaves the child as fresh as one that imported for itself. A message brings the child's three
standard streams; its process id goes back, then, once it has ended, its exit code. When the other end hangs up, the
child is killed and this process ends. Linux only.
"""

import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from engine.running.nursery import NUMBER
from engine.system import entry
from engine.system.child import PARENT


def serve(control: socket.socket, work: entry.Work) -> None:
    """Fork a child for each message until the other end hangs up."""
    own = os.getpid()
    while True:
        message, streams, _, _ = socket.recv_fds(control, 1, 3)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            os.environ[PARENT] = str(own)
            control.close()
            _be_child(streams, work)
        for stream in streams:
            os.close(stream)
        control.sendall(NUMBER.pack(pid))
        control.sendall(NUMBER.pack(_exit_code(pid, control)))


def _exit_code(pid: int, control: socket.socket) -> int:
    """The exit code of the child once it has ended, negative for a signal; leaves where the other end hung up."""
    ended = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([ended, control.fileno()], [], [])
        if ended not in ready:  # the other end sends nothing while a child runs: it hung up
            os.killpg(pid, signal.SIGKILL)
            sys.exit()
    finally:
        os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _be_child(streams: list[int], work: entry.Work) -> NoReturn:
    """Lead a process group, take the streams for the standard ones, and do the job that stands on the first."""
    os.setsid()
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    entry.main(work)


def load(module: str) -> entry.Work:
    """The module's `work`. Collecting garbage amid imports finds none and takes a tenth of their time; what is loaded
    stays, and a child that looks through it for garbage would copy its pages."""
    gc.disable()
    work: entry.Work = import_module(module).work
    gc.freeze()
    gc.enable()
    return work


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # one that is meant for it ends it, without a traceback
    with (
        socket.socket(fileno=int(sys.argv[1])) as control,
        suppress(ConnectionError),
    ):  # it hung up; a child sees that too
        serve(control, load(sys.argv[2]))
