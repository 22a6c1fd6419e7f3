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
    code = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as neighbour:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        start = machine_load.read()
        time.sleep(1)
        cores = other_cores(start, machine_load.read())
        neighbour.kill()
    assert cores > 0.4


def test_what_this_process_burns_counts_as_its_own_and_as_the_machines() -> None:
    start, began = machine_load.read(), time.process_time()
    while time.process_time() - began < 0.5:
        pass
    end = machine_load.read()
    assert end.own - start.own >= 0.5
    assert end.machine - start.machine > 0.4  # the machine's clocks tick apart
