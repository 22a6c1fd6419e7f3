"""A store whose trials run in the fake child, `run` of such a trial, and what became of it."""

from pathlib import Path

import pytest

from engine.__main__ import main
from engine.cli import loading, measuring
from engine.running.nursery import Nursery
from engine.store import Store
from tests import fake_trial
from tests.test_trials import resolve_to, write_piqa  # noqa: F401  (a fixture)


@pytest.fixture
def prepared(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolve_to) -> str:  # noqa: F811
    """A store and data of the test's own, a model that resolves, and the fake child; gives the store's URL."""
    (tmp_path / "data").mkdir()
    write_piqa(tmp_path / "data")
    for starts in (loading, measuring):
        monkeypatch.setattr(starts, "Nursery", lambda: Nursery(fake_trial.MODULE))
    values = {"CACHE": str(tmp_path / "cache"), "STORE": url, "DATA": str(tmp_path / "data")}
    for name, value in values.items():
        monkeypatch.setenv(f"KNEEPOINT_{name}", value)
    return url


def recipe(bits: int) -> str:
    return f"quantize:rtn,bits={bits},group_size=32"


def run(bits: int, *more: str) -> int:
    return main(["run", recipe(bits), "--tasks", "piqa", "--limit", "2", *more])


def states(url: str) -> dict[str, str]:
    store = Store(url)
    found = {row.recipe: row.state for row in store.rows()}
    store.close()
    return found
