"""The lock that only one timing on the machine may hold. Importable without torch."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.paths import cache_dir


@contextmanager
def timing_lock(on_wait: Callable[[], None], path: Path | None = None) -> Iterator[None]:
    """Hold the machine's timing lock; `on_wait` is called once, before waiting, where another timing holds it.

    The lock is a file in the cache folder, so all stores and workers that share a cache take turns; the system frees it
    when its holder dies. Processes with another cache are not kept out, but `machine_load` notices them.
    """
    with (path or cache_dir() / "timing.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
