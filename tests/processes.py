"""Waiting for other processes, patiently: on a busy machine, what is quick elsewhere takes many seconds."""

import time
from collections.abc import Callable, Iterable

import psutil

PATIENCE_S = 60.0


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Return once the condition holds; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited for {seconds:.0f} s"
        time.sleep(0.02)


def wait_until_gone(pids: Iterable[int]) -> None:
    """Return once none of the processes is alive; one that nobody has collected yet is not."""
    wait_until(lambda: not any(_alive(pid) for pid in pids))


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
