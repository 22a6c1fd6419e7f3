"""The locks that let one worker, and one lane of generation, at a time serve a store, and who holds them."""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from sqlalchemy import make_url

from engine.errors import InputError
from engine.paths import cache_dir

TRIES, PAUSE_S = 4, 0.05  # to take the lock: `holder` has it for an instant too, whenever it looks
Role = Literal["worker", "lane"]
_SUFFIXES: dict[Role, str] = {"worker": "lock", "lane": "lane.lock"}
_DEEDS: dict[Role, str] = {
    "worker": "a worker (process {}) already runs the trials of this store",
    "lane": "a process ({}) already generates for this store",
}


class LockHeldError(InputError):
    """Another process serves the store."""


@contextmanager
def hold(url: str, role: Role = "worker") -> Iterator[None]:
    """Hold the store's lock for a role; the system frees it when this process dies, however it dies.

    Raises LockHeldError, naming the process that serves the store, where it is held already, and InputError where the
    lock's file can't be written.
    """
    with _opened(_path(url, role)) as file:
        if not any(_take(file) for _ in range(TRIES)):
            raise LockHeldError(_DEEDS[role].format(_pid(file.name)))
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(url: str, role: Role = "worker") -> int | None:
    """The id of the process that holds the store's lock, or None where nobody does; 0 where it can't be told yet."""
    path = _path(url, role)
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _pid(file.name)
    return None


def _opened(path: Path) -> IO[str]:
    try:
        return path.open("a+")
    except OSError as error:
        raise InputError(f"can't write {str(path)!r}, which says who serves the store: {error.strerror}") from None


def _take(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(PAUSE_S)
        return False
    return True


def _path(url: str, role: Role) -> Path:
    """Beside an SQLite file, whatever path leads to it; in the cache for other databases."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        database = Path(parsed.database).resolve()
        return database.with_name(f"{database.name}.{_SUFFIXES[role]}")
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    return folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.{_SUFFIXES[role]}"


def _pid(path: str) -> int:
    with contextlib.suppress(ValueError, OSError):
        return int(Path(path).read_text())
    return 0
