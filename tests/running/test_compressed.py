"""Compressed models on disk: found again, and the least used deleted beyond the budget."""

import os
from pathlib import Path

import pytest

from engine.running import compressed, exporter
from engine.system.child import Outcome
from tests.fake_trial import made


@pytest.fixture(autouse=True)
def _child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and a child that writes 1,000 bytes in no time."""
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))

    def write(job, on_event, cancelled, command) -> Outcome:
        folder = Path(job["folder"])
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"0" * 998)
        (folder / "kneepoint.json").write_text("{}")
        assert (job["format"], job["yields"]) == ("packed", True)
        return Outcome("done")

    monkeypatch.setattr(exporter, "run_in_child", write)


def make(bits: int) -> Path:
    assert compressed.make(made(bits), print, lambda: False).state == "done"
    folder = compressed.find(made(bits))
    assert folder is not None
    return folder


def test_what_was_made_is_found_and_nothing_else() -> None:
    assert compressed.find(made(8)) is None
    assert make(8).name == made(8).id
    assert compressed.find(made(4)) is None


def test_those_not_used_for_longest_are_deleted_beyond_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "BUDGET_BYTES", 2_500)
    for age, bits in enumerate((8, 7, 6)):
        os.utime(make(bits), (1000 + age, 1000 + age))
    compressed.find(made(8))  # used again
    make(5)
    kept = [bits for bits in (8, 7, 6, 5) if compressed.find(made(bits))]
    assert kept == [8, 6, 5]


def test_the_newest_is_kept_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "BUDGET_BYTES", 10)
    make(8)
    make(7)
    assert compressed.find(made(8)) is None
    assert compressed.find(made(7)) is not None


def test_one_that_another_lane_made_meanwhile_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    make(8)
    monkeypatch.setattr(exporter, "run_in_child", lambda *_: Outcome("failed", "the folder is there"))
    assert compressed.make(made(8), print, lambda: False).state == "done"
    assert compressed.make(made(4), print, lambda: False) == Outcome("failed", "the folder is there")
