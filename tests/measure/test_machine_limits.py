"""The machine's limits: the quickest run counts, and a small measurement gives numbers that can be kept."""

from pathlib import Path

import pytest

from engine import machine
from engine.measure import machine_limits


class Clock:
    """A clock that stands still but for what `run` adds."""

    def __init__(self, *durations: float) -> None:
        self.now, self.durations, self.runs = 0.0, list(durations), 0

    def __call__(self) -> float:
        return self.now

    def run(self) -> None:
        self.now += self.durations[min(self.runs, len(self.durations) - 1)]
        self.runs += 1


def test_the_quickest_run_after_the_first_counts() -> None:
    clock = Clock(0.1, 0.4, 0.2, 0.5)
    assert machine_limits.best_rate(clock.run, 10.0, 1.0, clock) == pytest.approx(10.0 / 0.2)
    assert clock.runs == 4


def test_a_first_run_that_takes_all_the_time_is_what_counts() -> None:
    clock = Clock(3.0)
    assert machine_limits.best_rate(clock.run, 6.0, 1.0, clock) == 2.0
    assert clock.runs == 1


def test_a_small_measurement_can_be_kept_and_read(tmp_path: Path) -> None:
    limits = machine_limits.measure(threads=1, buffer_bytes=2**22, side=64, seconds=0.01)
    assert set(limits.flop_per_s) == {"float32", "bfloat16"}
    machine.write(limits, tmp_path / "limits.json")
    assert machine.read(tmp_path / "limits.json") == limits
