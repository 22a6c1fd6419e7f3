"""What pages asked for, written by the lane: done, failed, stopped, given back."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.paths import cache_dir
from engine.running import exporter
from engine.running.exporter import LOST, Exporter
from engine.store import Export, Exports, Store, StoreError
from engine.system.child import Outcome
from tests.fake_trial import made

Child = Callable[[dict[str, Any], Callable[..., None], Callable[[], bool]], Outcome]


@pytest.fixture
def exports(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exports:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(exporter, "WRITE_S", 0.0)
    return Exports(store, store.clock)


@pytest.fixture
def run(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Export]:
    """Ask for a checkpoint unless one waits, and have a child that behaves like this write it."""

    def run_(child: Child, stop: threading.Event | None = None) -> Export:
        monkeypatch.setattr(exporter, "run_in_child", lambda job, told, stopped, command: child(job, told, stopped))
        exports.ask("a", made(8), "plain", "# A card")
        assert Exporter(exports, stop or threading.Event(), print).run_next()
        found = exports.newest("a")
        assert found is not None
        return found

    return run_


def writes(job: dict[str, Any], told: Callable[..., None], stopped: Callable[[], bool]) -> Outcome:
    Path(job["folder"]).mkdir()
    assert (job["format"], job["card"], job["yields"]) == ("plain", "# A card", True)
    return Outcome("done")


def test_a_checkpoint_goes_into_a_folder_of_the_cache_that_people_find(exports: Exports, run) -> None:
    found = run(writes)
    folder = cache_dir() / "exports" / f"tiny-{made(8).id}-plain"
    assert (found.state, found.folder) == ("done", str(folder))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert not Exporter(exports, threading.Event(), print).run_next()


def test_one_that_is_there_already_is_not_written_again(run) -> None:
    run(writes)
    assert run(lambda *_: pytest.fail("written again")).state == "done"


def test_progress_is_told_while_it_is_written(exports: Exports, run) -> None:
    seen = []

    def tells(job, told, stopped) -> Outcome:
        told({"event": "stage", "stage": "compress", "total": 9})
        told({"event": "progress", "done": 4, "total": 9})
        seen.append(exports.newest("a"))
        return Outcome("done")

    run(tells)
    assert [(one.state, one.attempts, one.progress.stage, one.progress.done) for one in seen] == [
        ("writing", 1, "compress", 4)
    ]


def test_a_failure_keeps_its_reason_and_a_mistake_costs_only_this_one(run) -> None:
    failed = run(lambda *_: Outcome("failed", "the disk is full"))
    assert (failed.state, failed.reason, failed.folder) == ("failed", "the disk is full", "")

    def mistake(*_: object) -> Outcome:
        raise ZeroDivisionError("a mistake")

    assert "a mistake" in run(mistake).reason


def test_a_store_that_can_not_be_used_fails_no_checkpoint(exports: Exports, run) -> None:
    def breaks(*_: object) -> Outcome:
        raise StoreError("the database is locked")

    with pytest.raises(StoreError):
        run(breaks)
    found = exports.newest("a")
    assert found is not None
    assert found.unfinished


def test_a_stop_that_was_asked_ends_it(exports: Exports, run) -> None:
    def stopped_on_the_way(job, told, stopped) -> Outcome:
        assert not stopped()
        exports.ask_to_stop(1)
        return Outcome("cancelled") if stopped() else Outcome("done")

    assert run(stopped_on_the_way).state == "stopped"


def test_a_lane_told_to_stop_leaves_it_to_the_next_one(exports: Exports, run) -> None:
    stop = threading.Event()

    def interrupted(job, told, stopped) -> Outcome:
        stop.set()
        return Outcome("cancelled") if stopped() else Outcome("done")

    given_back = run(interrupted, stop)
    assert (given_back.state, given_back.attempts) == ("waiting", 0)
    assert run(writes).id == given_back.id


def test_one_that_took_the_process_down_twice_fails(exports: Exports, run) -> None:
    exports.write(exports.ask("a", made(8), "plain", ""), state="writing", attempts=2)
    assert run(lambda *_: pytest.fail("tried again")).reason == LOST
