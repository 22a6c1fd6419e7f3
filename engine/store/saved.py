"""Saved sweeps: finished trials as one SQLite file, written here and opened elsewhere, where nothing is changed in it.

    save(store, Path("sweep.kneepoint"), sweep_id=3)
    with TemporaryDirectory() as folder: admit(Path("sweep.kneepoint"), Path(folder) / "mine.kneepoint")

A saved sweep holds trials, protocol, machine, answers, texts and profiles; no logs, no tracebacks and no queue. What
someone else wrote is never used as it is: `admit` reads it without trusting it (integrity, only tables, only what the
store reads) and writes what it found into a store of our own. Nothing is ever unpickled.
"""

import errno
import json
import math
import os
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, ForeignKey, Table, select

from engine.errors import InputError
from engine.spec import Protocol, Trial, parse
from engine.store import items, notes, schema, texts
from engine.store.database import Database, StoreError, StoreFullError
from engine.store.rows import batches
from engine.store.store import Store

SUFFIX = ".kneepoint"
MOST_BYTES = 200_000_000  # of a file that is opened
FINISHED = ("done", "failed", "cancelled")
_LEFT = {"failures", "progress", "cancel_requests", "sweep_trials"}  # what is not kept of a trial, or is apart
_MAGIC = b"SQLite format 3\x00"


def save(store: Store, target: Path, *, sweep_id: int | None = None, comparison: str | None = None) -> int:
    """Write the finished trials of a sweep, of a comparison, or all, to a new file; how many there are.

    The file is whole or not there. Raises InputError where no trial is finished or the file can't be written.
    """
    with store.database.read() as connection:
        if sweep_id is not None and sweep_id not in connection.scalars(select(schema.sweeps.c.id)).all():
            raise InputError(f"there is no sweep {sweep_id} in the store")
        found = _finished(connection, sweep_id, comparison)
        if not found:
            raise InputError("there is no finished trial to save")
        _write(target, lambda into: _copy(connection, into, found, sweep_id))
    return len(found)


def content(store: Store, *, comparison: str | None = None) -> bytes:
    """The bytes of a saved sweep, for a download."""
    with tempfile.TemporaryDirectory(prefix="kneepoint-") as folder:
        target = Path(folder) / f"saved{SUFFIX}"
        save(store, target, comparison=comparison)
        return target.read_bytes()


def admit(path: Path, target: Path) -> int:
    """Copy a saved sweep that somebody else wrote into a store file of our own; how many trials it holds.

    Raises InputError, in one sentence, for a file that is damaged, too large, of a newer version, or no saved sweep.
    """
    _inspect(path)
    with tempfile.TemporaryDirectory(prefix="kneepoint-") as folder:
        working = Path(folder) / "given.db"
        working.write_bytes(path.read_bytes())
        try:
            given = Database(f"sqlite:///{working}")  # which brings an older version to ours
            try:
                with given.read() as connection:
                    found = _finished(connection, None, None)
                    _check(connection, found)
                    _write(target, lambda into: _copy(connection, into, found))
            finally:
                given.close()
        except StoreError:
            raise InputError(f"{path.name} is no saved sweep, or a damaged one") from None
    return len(found)


def _inspect(path: Path) -> None:
    """Refuse what is no sound SQLite file of plain tables, without trusting anything in it."""
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path.name} is larger than {MOST_BYTES / 1e6:.0f} MB; save fewer trials to a file")
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise InputError(f"{path.name} is no saved sweep; `python -m engine save` writes one")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            sound = connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
            kinds = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    except sqlite3.DatabaseError:
        sound, kinds = False, []
    if not sound:
        raise InputError(f"{path.name} is damaged: its integrity check fails")
    plain = all(kind == "index" or (kind == "table" and str(sql).startswith("CREATE TABLE")) for kind, _, sql in kinds)
    names = {name for kind, name, _ in kinds if kind == "table"}
    if not plain or not {"meta", "trials"} <= names <= set(schema.metadata.tables):
        raise InputError(f"{path.name} is a database, but no saved sweep")


def _finished(connection: Connection, sweep_id: int | None, comparison: str | None) -> list[str]:
    """The ids of the finished trials, in the order they were first submitted."""
    table, inside = schema.trials, schema.sweep_trials
    query = select(table.c.id).where(table.c.state.in_(FINISHED)).order_by(table.c.number)
    if sweep_id is not None:
        query = query.where(table.c.id.in_(select(inside.c.trial_id).where(inside.c.sweep_id == sweep_id)))
    if comparison is not None:
        query = query.where(table.c.comparison_id == comparison)
    return list(connection.scalars(query))


def _copy(source: Connection, into: Connection, ids: list[str], sweep_id: int | None = None) -> None:
    """Copy the trials, the sweeps they stand in (only the given one where one is), and what is kept of them."""
    for part in batches(ids):
        rows = [dict(r) for r in source.execute(_of(schema.trials, "id", part)).mappings()]
        into.execute(schema.trials.insert(), [_without_places(row) for row in rows])
    inside = schema.sweep_trials
    places = [dict(r) for part in batches(ids) for r in source.execute(_of(inside, "trial_id", part)).mappings()]
    places = [place for place in places if sweep_id in (None, place["sweep_id"])]
    if places:
        stood = {place["sweep_id"] for place in places}
        sweeps = [dict(r) for r in source.execute(select(schema.sweeps)).mappings() if r["id"] in stood]
        into.execute(schema.sweeps.insert(), sweeps)
        into.execute(inside.insert(), places)
    for table in schema.metadata.sorted_tables:
        if table.name in _LEFT or not _belongs_to_a_trial(table):
            continue
        for part in batches(ids):
            rows = [dict(r) for r in source.execute(_of(table, "trial_id", part)).mappings()]
            if rows:
                into.execute(table.insert(), rows)


def _without_places(row: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's row without what means something on its own machine only."""
    asked = {**json.loads(row["content"]), "data_dir": None}
    return {**row, "content": json.dumps(asked), "owner": None, "changed": 1}


def _check(connection: Connection, ids: list[str]) -> None:
    """Read everything that pages will read; raises InputError at the first that is not as a store writes it."""
    try:
        for part in batches(ids):
            for row in connection.execute(_of(schema.trials, "id", part)).mappings():
                _check_trial(dict(row))
            for row in connection.execute(_of(schema.items, "trial_id", part)).mappings():
                items.unpack(row["results"], MOST_BYTES)
            for row in connection.execute(_of(schema.texts, "trial_id", part)).mappings():
                texts.unpack(row["texts"], MOST_BYTES)
            for row in connection.execute(_of(schema.profiles, "trial_id", part)).mappings():
                _check_profile(row["content"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error) as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(f"the saved sweep holds a trial that can't be read: {said}") from None


def _check_trial(row: Mapping[str, Any]) -> None:
    parse(row["recipe"])
    asked = json.loads(row["protocol"])
    Protocol.from_dict({name: value for name, value in asked.items() if name != "perplexity_text"})
    Trial.from_dict(json.loads(row["content"]))
    for value in json.loads(row["metrics"]).values():
        if value is not None and (isinstance(value, bool) or not math.isfinite(value)):
            raise ValueError(f"a metric is {value!r}")
    said = [row["model"], row["comparison_id"], row["id"], row["reason"], *notes.texts(row["notes"])]
    said += json.loads(row["reasons"]).values()
    if not all(isinstance(text, str) for text in said):
        raise ValueError("its notes are no texts")
    if date := json.loads(row["environment"]).get("date"):
        datetime.fromisoformat(date)


def _check_profile(content: str) -> None:
    def refuse(number: str) -> None:
        raise ValueError(f"a profile holds {number}")

    if not isinstance(json.loads(content, parse_constant=refuse), dict):
        raise TypeError("a profile is no mapping")


def _write(target: Path, fill: Callable[[Connection], None]) -> None:
    """Make a store file, fill it in one transaction, and give it its name once it is whole."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        made = Database(f"sqlite:///{partial}")
        try:
            with made.write() as connection:
                fill(connection)
        finally:
            made.close()
        with closing(sqlite3.connect(partial)) as settling:
            settling.execute("PRAGMA journal_mode=DELETE")  # one file, without its log beside it
        partial.replace(target)
    except (OSError, StoreFullError) as error:
        said = getattr(error, "strerror", None) or os.strerror(errno.ENOSPC)
        raise InputError(f"can't write {str(target)!r}: {said}") from None
    finally:
        for end in ("", "-wal", "-shm"):
            partial.with_name(f"{partial.name}{end}").unlink(missing_ok=True)


def _of(table: Table, column: str, values: list[Any]) -> Any:
    return select(table).where(table.c[column].in_(values))


def _belongs_to_a_trial(table: Table) -> bool:
    return "trial_id" in table.c and any(isinstance(key, ForeignKey) for key in table.c.trial_id.foreign_keys)
