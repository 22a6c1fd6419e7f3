"""A machine's limits as JSON, and the child that measures them."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine import machine
from engine.errors import InputError
from engine.machine import Limits
from tests.made_rows import row

LIMITS = Limits("Test CPU", 2, 32e9, {"float32": 140e9, "bfloat16": 35e9}, 0.0, "2026-11-21T00:00:00+00:00", "2.13.0")
CHILD = """
import json, sys, time
from pathlib import Path
from engine import machine
from tests.test_machine import LIMITS
kind = sys.argv[1]
print(json.dumps({"event": "stage", "stage": "wait"}), flush=True)
if kind == "waits":
    time.sleep(30)
if kind == "fails":
    sys.exit("no memory left")
print(json.dumps({"event": "stage", "stage": "measure"}), flush=True)
machine.write(LIMITS, machine.kept_path())
print(json.dumps({"event": "done"}), flush=True)
"""


def child(kind: str) -> list[str]:
    return [sys.executable, "-c", CHILD, kind]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    machine.write(LIMITS, tmp_path / "limits.json")
    assert machine.read(tmp_path / "limits.json") == LIMITS
    assert LIMITS.most_flop_per_s == 140e9


def test_nothing_is_kept_before_it_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))
    assert machine.kept() is None
    machine.write(LIMITS, machine.kept_path())
    assert machine.kept() == LIMITS


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cpu": "x"}'])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "limits.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"limits\.json holds no limits"):
        machine.read(path)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf")])
def test_speeds_that_can_not_be_are_refused(tmp_path: Path, speed: float) -> None:
    machine.write(replace(LIMITS, read_bytes_per_s=speed), tmp_path / "limits.json")
    with pytest.raises(InputError, match="above 0"):
        machine.read(tmp_path / "limits.json")


def test_limits_fit_results_of_the_same_processor_and_threads() -> None:
    assert LIMITS.fits(row(environment={"cpu": "Test CPU", "threads": 2, "cpu_threads": 8}))
    assert LIMITS.fits(row())
    assert not LIMITS.fits(row(environment={"cpu": "Another", "threads": 2}))
    assert not LIMITS.fits(row(environment={"cpu": "Test CPU", "threads": 4}))
    assert not LIMITS.fits(row(protocol={**row().protocol, "device": "cuda"}))


def test_processors_of_one_name_are_told_apart_by_their_instructions_where_both_are_noted() -> None:
    old, new, unnoted = ({"cpu": "Test CPU", "threads": 2, "instructions": able} for able in ("avx2", "avx512f", ""))
    noted = replace(LIMITS, instructions="avx2")
    assert [noted.fits(row(environment=one)) for one in (old, new, unnoted)] == [True, False, True]
    assert LIMITS.fits(row(environment=new))


def test_what_ships_with_the_recorded_results_can_be_read() -> None:
    found = machine.recorded()
    assert found is None or json.loads(machine.RECORDED.read_text())["cpu"] == found.cpu


def test_a_child_measures_and_the_result_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))
    assert machine.measure_here(child("works")) == LIMITS == machine.kept()


def test_a_child_that_waits_for_another_timing_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="another timing runs on it"):
        machine.measure_here(child("waits"), patience_s=0.0)


def test_a_child_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="no memory left"):
        machine.measure_here(child("fails"))
