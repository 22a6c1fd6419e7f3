"""Folders that count as present only when they are whole.

A folder is filled under another name, gets a marker that lists its files with their sizes, and is then renamed: a
broken download, a killed conversion or a full disk leaves a leftover that the next attempt removes, never half of one.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MARKER = "kneepoint-complete.json"


@contextmanager
def filling(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder to fill and a dict for facts about it; on leaving without error they become `folder`, whole.

    The caller holds a lock: two fillings of one folder at a time are not allowed.
    """
    partial = scratch(folder)
    try:
        facts: dict[str, Any] = {}
        yield partial, facts
        sizes = {str(p.relative_to(partial)): p.stat().st_size for p in sorted(partial.rglob("*")) if p.is_file()}
        _write_durably(partial / MARKER, json.dumps({**facts, "files": sizes}, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def facts(folder: Path, version: int) -> dict[str, Any] | None:
    """The facts of a folder that is whole and of this version, else None; it only compares sizes, so it is cheap."""
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == size for name, size in found["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if whole and found.get("version") == version else None


def scratch(path: Path) -> Path:
    """An empty folder beside `path` for what becomes it, after those that killed processes left there are removed.

    Its name is this process's own: a child that outlived a killed one may still be writing to the other's.
    """
    for leftover in path.parent.glob(f"{path.name}.*.partial"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = path.with_name(f"{path.name}.{os.getpid()}.partial")
    folder.mkdir(parents=True)
    return folder


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
