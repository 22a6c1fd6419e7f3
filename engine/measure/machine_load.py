"""How much of the machine other work took while something was timed. Importable without torch."""

import time
from typing import NamedTuple

import psutil

DISTURBED_CORES = 0.15
BUSY = (
    "user",
    "nice",
    "system",
    "irq",
    "softirq",
    "steal",
)  # "user" already holds the time of virtual machines run here


class Reading(NamedTuple):
    """A moment: wall time, CPU time of this process, and busy CPU time summed over the machine's cores; all seconds."""

    wall: float
    own: float
    machine: float


def read() -> Reading:
    """The clocks now; give two readings to `other_cores`.

    Stolen time counts as busy: what the host gave to other virtual machines slows this one as well.
    """
    times = psutil.cpu_times()
    machine = sum(getattr(times, name, 0.0) for name in BUSY)
    return Reading(time.perf_counter(), time.process_time(), machine)


def other_cores(start: Reading, end: Reading) -> float:
    """Cores that other work kept busy on average between two readings of this process: 0 is an idle machine.

    The system counts in ticks of about 10 ms, so the readings should lie a second or more apart.
    """
    wall = end.wall - start.wall
    if wall <= 0:
        return 0.0
    return max(0.0, (end.machine - start.machine) - (end.own - start.own)) / wall


def disturbed(cores: float) -> bool:
    """Whether other work was heavy enough to flag a timing: over 15% of one core."""
    return cores > DISTURBED_CORES
