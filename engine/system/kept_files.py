"""What is kept in the cache folder only to spare work, within a budget."""

import os
import shutil
from contextlib import suppress
from pathlib import Path


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
