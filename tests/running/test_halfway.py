"""Models between two shares of their questions: kept within a budget, and gone with the runner that kept them."""

import shutil
from pathlib import Path

import pytest

from engine.running import halfway
from engine.running.halfway import Halfway


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))
    monkeypatch.setattr(halfway, "SPARE_BYTES", 0)
    return tmp_path


def keep(models: Halfway, trial_id: str, size: int = 10) -> Path:
    path = models.place(trial_id)
    assert path is not None
    path.mkdir()
    (path / "model.safetensors").write_bytes(bytes(size))
    return path


def test_a_model_has_one_place_and_all_go_with_the_runner(cache: Path) -> None:
    with Halfway() as models:
        path = keep(models, "one")
        assert models.place("one") == path
        assert path.parent.parent == cache
    assert list(cache.iterdir()) == []


def test_the_models_of_other_trials_are_deleted_and_what_was_left_half_written() -> None:
    with Halfway() as models:
        one, two = keep(models, "one"), keep(models, "two")
        half = keep(models, "one.123.partial")
        models.keep_only({"one", "three"})
        assert one.is_dir()
        assert not two.exists()
        assert not half.exists()


def test_there_is_no_room_beyond_the_budget_but_what_is_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halfway, "BUDGET_BYTES", 15)
    with Halfway() as models:
        one = keep(models, "one")
        keep(models, "two")
        assert models.place("three") is None
        assert models.place("one") == one
        models.keep_only({"one"})
        assert models.place("three") is not None


def test_there_is_no_room_on_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halfway, "SPARE_BYTES", 10**18)
    with Halfway() as models:
        assert models.place("one") is None


def test_a_cache_that_somebody_clears_costs_only_what_was_kept(cache: Path) -> None:
    with Halfway() as models:
        keep(models, "one")
        shutil.rmtree(next(cache.iterdir()))
        assert models.place("one") is None
        models.keep_only(())


def test_without_a_folder_nothing_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Halfway().place("one") is None
    Halfway().keep_only({"one"})

    def refuse(*_: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(halfway, "work_folder", refuse)
    with Halfway() as models:
        assert models.place("one") is None
