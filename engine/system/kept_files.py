"""What is kept in the cache folder only to spare work: written whole or not at all, and within a budget."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write a file or a folder that gets the name `path` once the block is done, and is gone if it fails."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        try:
            partial.replace(path)
        except OSError:
            if not path.is_dir():  # else another process has just put its own folder there
                raise
    finally:
        delete(partial)


def use(path: Path) -> None:
    """Count something as new again."""
    with suppress(OSError):
        os.utime(path)


def keep_within(newest: Path, budget: int) -> None:
    """Delete what lies beside `newest`, longest unused first, until the rest takes at most `budget` bytes."""
    others = [path for path in newest.parent.iterdir() if path != newest]  # with what a killed process left half done
    left = budget
    for path in sorted(others, key=_used_at, reverse=True):
        left -= size_bytes(path)
        if left < 0:
            delete(path)


def _used_at(path: Path) -> float:
    with suppress(FileNotFoundError):  # another process deletes too
        return path.stat().st_mtime
    return 0.0


def size_bytes(path: Path) -> int:
    """Of a file, or of the files that lie in a folder; 0 where there is neither."""
    total = 0
    with suppress(FileNotFoundError):
        for one in path.iterdir() if path.is_dir() else (path,):
            total += one.stat().st_size
    return total


def delete(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
