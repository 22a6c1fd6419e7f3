"""Opening a store: what is refused, what can only be read, a full disk."""

import math
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from engine.errors import InputError
from engine.store import ItemResult, Queue, Store, StoreError, StoreFullError, version
from tests.store.filled import EIGHT, FOUR, claimed


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing in the test's folder can be written, as far as anyone can tell who asks."""
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    yield
    tmp_path.chmod(0o755)


@pytest.mark.usefixtures("read_only")
def test_a_store_that_can_not_be_written_is_read_and_left_as_it_is(tmp_path: Path, url: str) -> None:
    own = Store(url)
    own.submit([EIGHT], ["size"])
    own.close()
    before = (tmp_path / "store.db").read_bytes()
    tmp_path.chmod(0o555)
    given = Store(url, to_read=True)
    assert [row.trial_id for row in given.rows()] == [EIGHT.id]
    assert given.trial(EIGHT.id) == EIGHT
    with pytest.raises(StoreError, match=r"can't write the store .*store\.db: it is read-only"):
        given.submit([FOUR], ["size"])
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
    assert (tmp_path / "store.db").read_bytes() == before


@pytest.mark.usefixtures("read_only")
def test_reading_a_store_that_can_not_be_written_sees_what_others_write(url: str, store: Store) -> None:
    given = Store(url, to_read=True)
    assert given.rows() == []
    store.submit([EIGHT], ["size"])  # still in the log beside the file
    assert [row.trial_id for row in given.rows()] == [EIGHT.id]
    store.close()
    assert [row.trial_id for row in given.rows()] == [EIGHT.id]
    again = Store(url)
    again.submit([FOUR], ["size"])
    assert {row.trial_id for row in given.rows()} == {EIGHT.id, FOUR.id}
    again.close()


@pytest.mark.usefixtures("read_only")
def test_an_older_store_that_can_not_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as old:
        old.executescript((Path(__file__).parent / "version_1.sql").read_text())
    before = file.read_bytes()
    says = (
        rf"older Kneepoint \(its version is 1, this one's {version.VERSION}\) .* copy it to a folder that you can write"
    )
    with pytest.raises(InputError, match=says) as refused:
        Store(f"sqlite:///{file}", to_read=True)
    assert "\n" not in str(refused.value)
    assert file.read_bytes() == before


def test_what_can_be_written_is_made_and_migrated_to_be_read(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.executescript((Path(__file__).parent / "version_1.sql").read_text())
    for name, trials in (("old", 3), ("new", 0)):
        given = Store(f"sqlite:///{tmp_path / f'{name}.db'}", to_read=True)
        assert len(given.rows()) == trials
        given.close()


def test_what_is_no_store_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text(
        "these are words and no database at all, though there are quite a few of them\n" * 20
    )
    with pytest.raises(StoreError, match="is no database"):
        Store(f"sqlite:///{tmp_path / 'text.db'}")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(InputError, match="no store of Kneepoint"):
        Store(f"sqlite:///{tmp_path / 'other.db'}")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////no/such/folder/store.db", "its folder must exist"),
        ("kneepoint.db", "is no database URL"),
        ("sqlite://", "can't be in memory"),
        ("nosuch://host/name", "no driver"),
    ],
)
def test_a_url_that_can_not_be_opened_is_refused_in_one_sentence(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as refused:
        Store(url)
    assert "\n" not in str(refused.value)


def test_an_input_error_of_the_disk_is_told_from_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    """Opened where no space is left, SQLite fails to make its index and only says "disk I/O error"."""

    def fail(*_: object) -> None:
        raise OperationalError("BEGIN", None, sqlite3.OperationalError("disk I/O error"))

    event.listen(store.database.engine, "begin", fail)
    usage = shutil.disk_usage(tmp_path)
    for free, kind, says in ((0, StoreFullError, "is full; free some space"), (10**9, StoreError, "disk I/O error")):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage._replace(free=free))
        with pytest.raises(kind, match=says) as told:
            store.revision()
        assert type(told.value) is kind


def test_a_full_disk_is_one_sentence_and_loses_nothing(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    job = claimed(queue)
    queue.keep_metrics(EIGHT.id, {"weight_bytes": 8.0}, {})
    with store.database.read() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    store.database.engine.dispose()
    event.listen(store.database.engine, "connect", limit)
    answers = [ItemResult(i, (-1.0 / (i + 1), math.sin(i)), 0, 0, True) for i in range(5000)]
    with pytest.raises(StoreFullError, match=r"disk of the store .* is full; free some space"):
        queue.keep_items(EIGHT.id, "piqa", answers)
    event.remove(store.database.engine, "connect", limit)
    store.database.engine.dispose()
    assert store.row(EIGHT.id).metrics == {"weight_bytes": 8.0}
    queue.keep_items(EIGHT.id, "piqa", answers)
    queue.finish(job)
    assert len(store.items(EIGHT.id)["piqa"]) == 5000
