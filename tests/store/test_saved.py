"""Saved sweeps: written whole, read back the same, and refused where they are not what a store writes."""

import json
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.store import Store, StoreFullError, saved
from tests.pages import filling

RECIPES = ("dense", "quantize:rtn,bits=8", "quantize:rtn,bits=4")


@pytest.fixture
def file(store: Store, tmp_path: Path) -> Path:
    """A saved sweep of three trials, beside two that wait."""
    filling.fill(store, filling.make_trials(RECIPES))
    filling.fill(store, filling.make_trials(("prune:layers,count=3",), limit=50), finish=0, name="Waiting")
    assert saved.save(store, tmp_path / "mine.kneepoint") == 3
    return tmp_path / "mine.kneepoint"


def change(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement, values)


def test_a_full_disk_names_the_file_that_was_asked_for_and_leaves_nothing(
    file: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreFullError("the disk of the store .partial is full")

    monkeypatch.setattr(saved, "_copy", full)
    before = sorted(file.parent.iterdir())
    with pytest.raises(InputError, match=r"can't write '.*/other\.kneepoint': No space left on device"):
        saved.save(store, file.with_name("other.kneepoint"))
    assert sorted(file.parent.iterdir()) == before


def test_what_is_opened_elsewhere_is_what_was_saved(file: Path, store: Store, tmp_path: Path) -> None:
    assert saved.admit(file, tmp_path / "theirs.kneepoint") == 3
    theirs = Store(f"sqlite:///{tmp_path / 'theirs.kneepoint'}")
    ours = store.rows(states=["done"])
    for one, other in zip(ours, theirs.rows(), strict=True):
        assert other == one
        assert theirs.items(one.trial_id) == store.items(one.trial_id) != {}
        assert theirs.kept(one.trial_id) == store.kept(one.trial_id)
        assert theirs.texts(one.trial_id) != []
        assert (theirs.profile(one.trial_id, "layers") is None) == (one.recipe == "dense")
    assert [sweep.name for sweep in theirs.sweeps()] == ["First look"]
    theirs.close()


def test_only_the_sweep_or_the_comparison_that_was_asked_for_is_saved(store: Store, tmp_path: Path) -> None:
    first = filling.fill(store, filling.make_trials(RECIPES))
    filling.fill(store, filling.make_trials(("dense", "prune:layers,count=3"), limit=50), name="Other")
    assert saved.save(store, tmp_path / "a.kneepoint", sweep_id=first) == 3
    other = next(row.comparison_id for row in store.rows() if row.protocol["limit"] == 50)
    assert saved.save(store, tmp_path / "b.kneepoint", comparison=other) == 2
    with pytest.raises(InputError, match="there is no sweep 9"):
        saved.save(store, tmp_path / "c.kneepoint", sweep_id=9)
    assert not list(tmp_path.glob("*c.kneepoint*"))


def test_a_saved_sweep_names_no_other_sweep_that_shares_its_trials(store: Store, tmp_path: Path) -> None:
    first = filling.fill(store, filling.make_trials(RECIPES))
    filling.fill(store, filling.make_trials(("prune:layers,count=3",)), name="Shares the original")
    saved.save(store, tmp_path / "a.kneepoint", sweep_id=first)
    opened = Store(f"sqlite:///{tmp_path / 'a.kneepoint'}")
    assert [sweep.name for sweep in opened.sweeps()] == ["First look"]
    opened.close()


def test_a_file_that_is_too_large_is_refused(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="larger than"):
        saved.admit(file, tmp_path / "theirs.kneepoint")


def test_nothing_finished_is_nothing_to_save(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished trial"):
        saved.save(store, tmp_path / "none.kneepoint")


def test_paths_logs_and_owners_stay_at_home(store: Store, tmp_path: Path) -> None:
    trials = [replace(trial, data_dir="/home/someone/data") for trial in filling.make_trials(("dense",))]
    filling.fill(store, trials, finish=0)
    filling.fail_one(store, "ran out of memory")
    saved.save(store, tmp_path / "failed.kneepoint")
    content = (tmp_path / "failed.kneepoint").read_bytes()
    assert b"ran out of memory" in content
    assert b"Traceback" not in content
    assert b"/home/someone" not in content
    assert not list(tmp_path.glob("*.partial*"))
    with closing(sqlite3.connect(tmp_path / "failed.kneepoint")) as connection:
        assert connection.execute("SELECT owner FROM trials").fetchall() == [(None,)]
        assert connection.execute("SELECT count(*) FROM workers").fetchone() == (0,)


def test_the_bytes_of_a_download_are_a_saved_sweep(file: Path, store: Store, tmp_path: Path) -> None:
    given = tmp_path / "download.kneepoint"
    given.write_bytes(saved.content(store))
    assert saved.admit(given, tmp_path / "again.kneepoint") == 3


METRICS = "UPDATE trials SET metrics = ? WHERE recipe = 'dense'"
DAMAGE = [
    ("UPDATE trials SET recipe = 'quantize:nothing'", (), "can't be read"),
    (METRICS, (json.dumps({"accuracy": "<b>"}),), "can't be read"),
    (METRICS, ("[" * 100_000,), "can't be read"),
    ("UPDATE trials SET notes = ?", (json.dumps(["of an older version"]),), "can't be read"),
    ("UPDATE trials SET notes = ?", (json.dumps({"latency": [1]}),), "no texts"),
    ("UPDATE trials SET environment = ?", (json.dumps({"date": "yesterday"}),), "can't be read"),
    ("UPDATE profiles SET content = '{\"errors\": [NaN]}'", (), "can't be read"),
    ("UPDATE profiles SET content = '[0.5]'", (), "can't be read"),
    ("UPDATE items SET results = ?", (b"\x80\x04pickled",), "can't be read"),
    ("UPDATE items SET results = ?", (zlib.compress(bytes(2_000_000)),), "takes more than"),
    ("UPDATE meta SET value = 99 WHERE name = 'version'", (), "newer Kneepoint"),
    ("CREATE TRIGGER t AFTER UPDATE ON meta BEGIN DELETE FROM trials; END", (), "no saved sweep"),
    ("CREATE VIEW v AS SELECT * FROM trials", (), "no saved sweep"),
    ("CREATE TABLE more (x)", (), "no saved sweep"),
    ("CREATE VIRTUAL TABLE progress2 USING fts5(x)", (), "no saved sweep"),
]


@pytest.mark.parametrize(("statement", "values", "says"), DAMAGE, ids=[text[:34] for text, _, _ in DAMAGE])
def test_a_file_that_no_store_writes_is_refused(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, values: tuple[object, ...], says: str
) -> None:
    monkeypatch.setattr(saved, "MOST_BYTES", 1_000_000)
    change(file, statement, *values)
    with pytest.raises(InputError, match=says):
        saved.admit(file, tmp_path / "theirs.kneepoint")
    assert not (tmp_path / "theirs.kneepoint").exists()


@pytest.mark.parametrize("content", [b"", b"not a database at all", b"SQLite format 3\x00 and then nothing"])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "junk.kneepoint").write_bytes(content)
    with pytest.raises(InputError, match=r"junk\.kneepoint is"):
        saved.admit(tmp_path / "junk.kneepoint", tmp_path / "theirs.kneepoint")


def test_a_file_cut_in_half_is_refused(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged"):
        saved.admit(file, tmp_path / "theirs.kneepoint")
