"""The saved sweeps that were opened on this machine: copies of our own in the cache, found again by every page.

A copy is named by the hash of the file it came from, so the same file is there once, and a link to it works wherever
that file was opened. They are only read.
"""

import hashlib
import tempfile
from pathlib import Path

from engine.paths import cache_dir
from engine.store import saved


def put(content: bytes, name: str) -> str:
    """Open a file that somebody saved; its id here. Raises InputError, calling the file `name`, where it can't be."""
    found = hashlib.sha256(content).hexdigest()[:12]
    target = _path(found)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="kneepoint-") as folder:
            given = Path(folder) / (Path(name).name or "the file")
            given.write_bytes(content)
            saved.admit(given, target)
    return found


def names() -> list[str]:
    """The ids of the sweeps that are open here, the last opened first."""
    files = list(_path("x").parent.glob(f"*{saved.SUFFIX}"))
    return [path.stem for path in sorted(files, key=lambda path: (-path.stat().st_mtime, path.name))]


def drop(name: str) -> None:
    """Close a saved sweep: its copy here is deleted, the file it came from is not."""
    if name in names():
        for end in ("", "-wal", "-shm"):
            _path(name).with_name(f"{_path(name).name}{end}").unlink(missing_ok=True)


def url(name: str) -> str:
    """The store of a saved sweep, as a database URL."""
    return f"sqlite:///{_path(name)}"


def _path(name: str) -> Path:
    return cache_dir() / "saved" / f"{name}{saved.SUFFIX}"
