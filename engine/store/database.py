"""One connection to the store's database: its settings, its transactions, and its errors as sentences.

SQLite runs in WAL mode, so that pages read while the worker writes. Writing transactions begin as such: one that began
by reading could not wait for another's write to end. A file that can't be written can still be read: see `_reader`.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, update
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from engine.errors import InputError
from engine.store import schema, version

BUSY_TIMEOUT_MS = 30_000
LEAST_FREE_BYTES = 65_536  # SQLite grows the index of its write-ahead log by half as many at a time


class StoreError(InputError):
    """The store can't be read or written; the message is one sentence for the user."""


class StoreFullError(StoreError):
    """The disk is full: the write was undone, and can be repeated once there is space."""


class Database:
    """The store's tables at a database URL, made or migrated when it is opened.

    to_read: whether a file that can't be written is opened all the same; it must be there and of this version.
    Raises StoreError or InputError, each one sentence, for a URL that is none, a file that can't be opened or is no
    database, and a store of a newer version.
    """

    def __init__(self, url: str, to_read: bool = False) -> None:
        self.url = _parse(url)
        self.name = self.url.database if self.file else self.url.render_as_string(hide_password=True)
        unwritable = self.file if to_read and self.file and _is_read_only(self.file) else None
        self.read_only = unwritable is not None
        if unwritable:
            self.engine = self._writing = _reader(unwritable)
            with self.read() as connection:
                version.refuse_older(connection, str(self.name))
            return
        try:
            self.engine = create_engine(self.url)
        except (ImportError, NoSuchModuleError) as error:
            raise StoreError(f"no driver is installed for the store {self.name!r}: {error}") from None
        if self.url.get_backend_name() == "sqlite":
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._writing = self.engine.execution_options(writing=True)
        with self._sentences(), self._writing.begin() as connection:
            version.prepare(connection, str(self.name))

    @property
    def file(self) -> Path | None:
        """The SQLite file, or None for another kind of database."""
        if self.url.get_backend_name() != "sqlite" or not self.url.database:
            return None
        return Path(self.url.database)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the store throughout."""
        with self._sentences(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self, seen: bool = True) -> Iterator[Connection]:
        """A transaction that writes; unless `seen` is False it first raises the revision, so that pages read again."""
        with self._sentences(), self._writing.begin() as connection:
            if seen:
                revision = schema.meta.c.name == "revision"
                connection.execute(update(schema.meta).where(revision).values(value=schema.meta.c.value + 1))
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._explain(error) from error

    def _no_space(self) -> bool:
        """Whether the disk of the store's file is full: SQLite can't always tell that from a broken one."""
        if self.file is None or not self.file.parent.is_dir():
            return False
        return shutil.disk_usage(self.file.parent).free < LEAST_FREE_BYTES

    def _explain(self, error: DBAPIError) -> StoreError:
        said = " ".join(str(error.orig).split())
        if "disk is full" in said or "No space left" in said or ("disk I/O error" in said and self._no_space()):
            return StoreFullError(
                f"the disk of the store {self.name!s} is full; free some space: what was stored is kept"
            )
        if "not a database" in said or "malformed" in said:
            return StoreError(
                f"{self.name!s} is no database, or a damaged one; give another with --store or KNEEPOINT_STORE"
            )
        if "unable to open" in said:
            return StoreError(f"can't open the store {self.name!s}: its folder must exist and be writable")
        if "readonly" in said:
            return StoreError(f"can't write the store {self.name!s}: it is read-only")
        if "locked" in said:
            return StoreError(f"the store {self.name!s} has been locked by another program for over 30 s")
        return StoreError(f"the store {self.name!s} can't be used: {said}")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(f"{url!r} is no database URL; write, say, sqlite:///folder/kneepoint.db") from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError("the store must outlive its process, so it can't be in memory; write sqlite:///FILE")
    return parsed


def _is_read_only(file: Path) -> bool:
    """Whether a file is there and can't be written, or its folder can't, where SQLite keeps its log."""
    return file.is_file() and not (os.access(file, os.W_OK) and os.access(file.resolve().parent, os.W_OK))


def _reader(file: Path) -> Engine:
    """What opens a file for reading only, anew for every transaction, as a writer may come and go meanwhile.

    A log beside the file holds what was written last, and is read too. Without one, SQLite would have to make it: it is
    told that nobody writes.
    """
    place = file.resolve()
    log = place.with_name(f"{place.name}-wal")

    def connect() -> sqlite3.Connection:
        logged = log.exists() and log.stat().st_size
        uri = f"{place.as_uri()}?mode=ro" + ("" if logged else "&immutable=1")
        return sqlite3.connect(uri, BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False, uri=True)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # transactions begin where _begin_sqlite says
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
