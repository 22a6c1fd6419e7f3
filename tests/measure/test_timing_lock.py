"""One timing at a time on the machine."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.measure.timing_lock import is_timing, stand_aside, timing_lock
from tests.processes import PATIENCE_S

HOLDER = """
import sys, time
from pathlib import Path
from engine.measure.timing_lock import timing_lock
with timing_lock(lambda: None, Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(200)
"""


def never() -> None:
    pytest.fail("the lock was free")


def test_a_free_lock_is_taken_without_waiting_and_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with timing_lock(never, tmp_path / "lock"):
            pass


def test_it_lies_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))
    with timing_lock(never):
        assert (tmp_path / "timing.lock").exists()


def test_an_error_inside_frees_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), timing_lock(never, tmp_path / "lock"):
        _ = 1 / 0
    with timing_lock(never, tmp_path / "lock"):
        pass


def test_a_second_timing_says_that_it_waits_and_runs_after_the_first(tmp_path: Path) -> None:
    happened: list[str] = []
    waits = threading.Event()

    def wait() -> None:
        happened.append("waits")
        waits.set()

    def second() -> None:
        with timing_lock(wait, tmp_path / "lock"):
            happened.append("second")

    with timing_lock(never, tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(PATIENCE_S)
        happened.append("first")
    thread.join(PATIENCE_S)
    assert happened == ["waits", "first", "second"]


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with timing_lock(holder.kill, tmp_path / "lock"):
            assert holder.wait() == -signal.SIGKILL


def test_work_stands_aside_until_the_timing_has_ended(tmp_path: Path) -> None:
    lock, waited, aside = tmp_path / "lock", threading.Event(), threading.Event()
    assert not is_timing(lock)
    stand_aside(never, lock)

    def work() -> None:
        stand_aside(waited.set, lock)
        aside.set()

    thread = threading.Thread(target=work)
    with timing_lock(never, lock):
        assert is_timing(lock)
        thread.start()
        assert waited.wait(PATIENCE_S)
        assert not aside.is_set()
    assert aside.wait(PATIENCE_S)
    thread.join()
    assert not is_timing(lock)


def test_looking_does_not_take_it(tmp_path: Path) -> None:
    is_timing(tmp_path / "lock")
    with timing_lock(never, tmp_path / "lock"):
        pass
