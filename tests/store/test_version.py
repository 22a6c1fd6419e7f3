"""Stores of other versions: migrated, or refused in one sentence."""

import json
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, select, text

from engine.errors import InputError
from engine.store import Exports, ItemResult, Store, schema, version
from tests.store.filled import EIGHT, set_version


def test_an_older_store_is_migrated_step_by_step(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as old:
        old.execute("CREATE TABLE meta (name VARCHAR PRIMARY KEY, value INTEGER NOT NULL)")
        old.execute("INSERT INTO meta VALUES ('version', -1)")
        old.execute("CREATE TABLE results (name TEXT)")
        old.execute("INSERT INTO results VALUES ('kept')")
    steps = {
        -1: lambda c: c.execute(text("ALTER TABLE results RENAME TO kept_results")),
        0: lambda c: c.execute(text("ALTER TABLE kept_results ADD COLUMN value INTEGER DEFAULT 7")),
    }
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        version.prepare(connection, "old.db", steps, version=1)
        assert connection.execute(text("SELECT name, value FROM kept_results")).all() == [("kept", 7)]
        assert connection.execute(text("SELECT value FROM meta WHERE name = 'version'")).scalar() == 1
    engine.dispose()


def test_a_store_of_version_1_keeps_its_results_and_counts_texts_as_missing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.executescript((Path(__file__).parent / "version_1.sql").read_text())
        old.execute("UPDATE trials SET notes = ? WHERE number = 1", (json.dumps(["first", "second"]),))
    store = Store(f"sqlite:///{tmp_path / 'old.db'}")
    dense, eight, four = store.rows()
    assert [row.state for row in (dense, eight, four)] == ["done", "done", "failed"]
    assert eight.metrics == {"weight_bytes": 8.0, "perplexity": 20.5}
    assert [row.notes for row in (dense, eight, four)] == [(), ("first", "second"), ()]
    assert store.items(eight.trial_id) == {"piqa": [ItemResult(0, (-1.0, -2.0), 0, 0, True)]}
    assert store.detail(four.trial_id).log == "log"
    assert store.texts(eight.trial_id) == []
    assert store.profiles(eight.trial_id) == {}
    assert Exports(store).newest(eight.trial_id) is None
    with store.database.read() as connection:
        measured = connection.execute(select(schema.trials.c.measured).order_by(schema.trials.c.number)).scalars()
        assert list(measured) == ["size,accuracy", "size,accuracy", ""]
    asked = [store.trial(dense.trial_id)]
    assert set(store.missing(asked, ["size", "perplexity"]).values()) == {("perplexity",)}
    store.close()
    again = Store(f"sqlite:///{tmp_path / 'old.db'}")  # once only
    assert len(again.rows()) == 3
    again.close()


def test_a_migrated_store_has_the_tables_of_a_new_one(tmp_path: Path, store: Store) -> None:
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.executescript((Path(__file__).parent / "version_1.sql").read_text())
    migrated = Store(f"sqlite:///{tmp_path / 'old.db'}")
    told = [
        {table: {c["name"]: str(c["type"]) for c in inspect(s.database.engine).get_columns(table)} for table in names}
        for s in (migrated, store)
        for names in [sorted(inspect(s.database.engine).get_table_names())]
    ]
    assert told[0] == told[1]
    migrated.close()


def test_a_store_too_old_to_migrate_is_refused(url: str, store: Store) -> None:
    set_version(store, 0)
    with pytest.raises(InputError, match="has version 0, which this Kneepoint can no longer read"):
        Store(url)


def test_a_newer_store_is_refused_in_one_sentence_and_left_alone(url: str, store: Store) -> None:
    store.submit([EIGHT], ["size"])
    set_version(store, 99)
    says = rf"newer Kneepoint \(its version is 99, this one reads up to {version.VERSION}\)"
    with pytest.raises(InputError, match=says) as refused:
        Store(url)
    assert "\n" not in str(refused.value)
    assert store.row(EIGHT.id).state == "queued"
