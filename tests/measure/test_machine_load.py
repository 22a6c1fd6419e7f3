"""How busy other work kept the machine."""

import subprocess
import sys
import time

import pytest

from engine.measure import machine_load
from engine.measure.machine_load import Reading, disturbed, other_cores


def test_own_work_is_not_counted() -> None:
    # 10 s in which this process used 15 core-seconds of the machine's 18: others used 3, over 10 s 0.3 cores
    assert other_cores(Reading(0, 5, 100), Reading(10, 20, 118)) == pytest.approx(0.3)


def test_clocks_that_tick_apart_never_give_less_than_nothing() -> None:
    assert other_cores(Reading(0, 0, 0), Reading(1, 1.01, 1.0)) == 0


def test_no_time_between_readings_is_no_load() -> None:
    assert other_cores(Reading(1, 1, 1), Reading(1, 1, 1)) == 0


@pytest.mark.parametrize(("cores", "expected"), [(0.0, False), (0.15, False), (0.16, True), (3.0, True)])
def test_over_15_percent_of_a_core_disturbs(cores: float, expected: bool) -> None:
    assert disturbed(cores) is expected


def test_a_busy_neighbour_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        time.sleep(0.2)
        start = machine_load.read()
        time.sleep(1)
        cores = other_cores(start, machine_load.read())
        neighbour.kill()
    assert cores > 0.4


def test_this_process_alone_is_no_other() -> None:
    """What this process burns itself is taken off: the rest stays under what it burnt."""
    start = machine_load.read()
    while time.process_time() - start.own < 0.5:
        pass
    end = machine_load.read()
    everything = (end.machine - start.machine) / (end.wall - start.wall)
    assert other_cores(start, end) < everything - 0.3
