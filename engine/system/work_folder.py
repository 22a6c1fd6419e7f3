"""A folder for the files of one piece of work, deleted with all that is in it when the work ends, however it ends.

Whoever works in one holds the system's lock on it, which a killed process loses; the next that begins such work deletes
what it finds there without one. Importable without torch.
"""

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = ".kneepoint-"  # in every name, so that no folder of somebody else's is taken for ours


@contextmanager
def work_folder(parent: Path, name: str) -> Iterator[Path]:
    """An empty folder in `parent` whose name begins with `name`; deletes those of that name that were left behind.

    Raises OSError where none can be made.
    """
    _delete_leftovers(parent, name)
    folder, held = _made(parent, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _made(parent: Path, name: str) -> tuple[Path, int]:
    """A new folder and the descriptor that holds its lock; made again where it was deleted before it had that."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=name + _MARK, dir=parent))
        with suppress(FileNotFoundError):
            held = os.open(folder, os.O_RDONLY)
            with suppress(OSError):  # of a file system that has no locks, on which nobody can take it for a leftover
                fcntl.flock(held, fcntl.LOCK_EX)
            if folder.exists():
                return folder, held
            os.close(held)


def _delete_leftovers(parent: Path, name: str) -> None:
    for path in parent.glob(f"{glob.escape(name + _MARK)}*"):
        with suppress(OSError):  # held, just deleted by another, or somebody else's
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(held)
