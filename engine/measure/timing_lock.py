"""The lock that only one timing on the machine may hold. Importable without torch."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.paths import cache_dir

WAITING = "waiting for the machine"  # the stage of whoever waits for a timing to end
LOOK_S = 0.2


@contextmanager
def timing_lock(on_wait: Callable[[], None], path: Path | None = None) -> Iterator[None]:
    """Hold the machine's timing lock; `on_wait` is called once, before waiting, where another timing holds it.

    The lock is a file in the cache folder, so all stores and workers that share a cache take turns; the system frees it
    when its holder dies. Processes with another cache are not kept out, but `machine_load` notices them.
    """
    with _file(path).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_timing(path: Path | None = None) -> bool:
    """Whether a timing holds the lock now."""
    with _file(path).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def stand_aside(on_wait: Callable[[], None], path: Path | None = None) -> None:
    """Return once no timing holds the lock; `on_wait` is called once where one does.

    For work that may not disturb a timing and need not be finished soon: it asks between its steps.
    """
    if is_timing(path):
        on_wait()
        while is_timing(path):
            time.sleep(LOOK_S)


def _file(path: Path | None) -> Path:
    return path or cache_dir() / "timing.lock"
