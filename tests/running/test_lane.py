"""The lane as a process of its own: it outlives its starter, and what kills it costs nothing that was written."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.paths import cache_dir
from engine.running import lane
from engine.spec import Trial, parse
from engine.store import Generation, Generations, Store
from engine.store.lock import LockHeldError, hold, holder
from engine.trials import make_unmeasured
from tests.processes import wait_until

ROOT = Path(__file__).parents[2]
LANE = (sys.executable, "-m", "engine.running.lane")
SLOW = (sys.executable, str(ROOT / "tests" / "slow_lane.py"))
NAMES = ("a", "b")
MINUTES = 280.0  # on a busy machine, where importing torch alone takes many seconds


@pytest.fixture
def generations(url: str) -> Generations:
    return Generations(Store(url))


@pytest.fixture
def trials(tiny_folder: Callable[[str], Path], url: str) -> list[Trial]:
    recipes = ("dense", "prune:magnitude,sparsity=0.5")
    return [make_unmeasured(str(tiny_folder("llama")), parse(recipe)) for recipe in recipes]


@pytest.fixture
def start(url: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a lane; all that were started are killed in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def one(command: tuple[str, ...] = LANE) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        started.append(subprocess.Popen([*command, url], env=environment, stdout=subprocess.DEVNULL))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.wait()


def read(generations: Generations) -> Generation:
    found = generations.newest(NAMES)
    assert found is not None
    return found


def written(generations: Generations, place: int = 0) -> int:
    return len(read(generations).completions[place].pieces)


def test_a_killed_lane_costs_the_text_in_hand_and_the_next_one_goes_on(generations, trials, start) -> None:
    generations.ask(NAMES, trials, "Why is the sky blue?", False, 200)
    first = start(SLOW)
    wait_until(lambda: written(generations) > 3, MINUTES)
    first.send_signal(signal.SIGKILL)
    first.wait()
    found = read(generations)
    assert (found.completions[0].state, found.unfinished) == ("writing", True)
    before = found.completions[0].pieces
    second = start()
    wait_until(lambda: not read(generations).unfinished, MINUTES)
    found = read(generations)
    assert [one.state for one in found.completions] == ["done", "done"]
    assert [one.attempts for one in found.completions] == [2, 1]
    assert found.completions[0].pieces[: len(before)] == before
    assert second.poll() is None  # it waits for the next prompt


def test_a_stop_is_honoured_and_keeps_what_is_written(generations, trials, start) -> None:
    generation_id = generations.ask(NAMES, trials, "Why is the sky blue?", False, 400)
    start(SLOW)
    wait_until(lambda: written(generations) > 3, MINUTES)
    generations.ask_to_stop(generation_id)
    wait_until(lambda: not read(generations).unfinished, MINUTES)
    found = read(generations)
    assert [one.state for one in found.completions] == ["stopped", "stopped"]
    assert 3 < written(generations) < 400
    assert written(generations, 1) == 0


def test_ensure_running_starts_one_lane_that_outlives_us_and_no_second(url: str, generations) -> None:
    assert lane.ensure_running(url)
    wait_until(lambda: bool(holder(url, "lane")), MINUTES)
    pid = holder(url, "lane")
    assert pid
    try:
        assert not lane.ensure_running(url)
        assert os.getsid(pid) == pid  # a closed terminal or a killed server does not reach it
        assert (cache_dir() / "lane.log").exists()
        second = subprocess.run([*LANE, url], cwd=ROOT, check=False, timeout=MINUTES)
        assert second.returncode == 0  # it found the first, and went
        assert holder(url) is None  # the worker's lock is another
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: holder(url, "lane") is None, MINUTES)


def test_it_ends_when_nothing_was_asked_for_a_while(url: str, generations) -> None:
    lane.serve(url, print, threading.Event(), idle_s=0.0)
    assert holder(url, "lane") is None


def test_a_second_lane_is_refused(url: str, generations) -> None:
    with hold(url, "lane"), pytest.raises(LockHeldError, match="already generates for this store"):
        lane.serve(url, print, threading.Event())


def test_starting_one_imports_no_torch() -> None:
    code = "import sys, engine.running.lane, engine.running.compressed; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
