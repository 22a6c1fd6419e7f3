"""Files and folders that are whole or not there, whoever looks and whatever ends the process that writes them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.system.kept_files import delete


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


def replace_text(path: Path, text: str) -> None:
    """Write a small file so that readers see the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
