"""Compressed models of trials that have answered a share of their questions and may be asked for more.

What they were measured on is kept to the last bit, so that going on costs a load and not the compression once more. A
runner keeps them in the cache folder for as long as it works; a killed one's are deleted by the next. Importable
without torch.
"""

import shutil
from collections.abc import Collection
from contextlib import ExitStack, suppress
from pathlib import Path

from engine.paths import cache_dir
from engine.system import kept_files
from engine.system.work_folder import work_folder

BUDGET_BYTES = 8_000_000_000  # of all of them, one more aside that was begun within it
SPARE_BYTES = 4_000_000_000  # that stay free on the disk for what must be written


class Halfway:
    """One runner's models, each in a folder named by its trial; use it as a context manager."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._folder: Path | None = None

    def __enter__(self) -> "Halfway":
        with suppress(OSError):  # without a cache that can be written, every trial compresses again
            self._folder = self._open.enter_context(work_folder(cache_dir(), "halfway"))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def place(self, trial_id: str) -> Path | None:
        """The folder of a trial's model, there or to be written; None where there is no room for one more."""
        if self._folder is None:
            return None
        path = self._folder / trial_id
        try:
            return path if path.is_dir() or self._room(self._folder) else None
        except OSError:  # somebody cleared the cache
            return None

    def keep_only(self, trial_ids: Collection[str]) -> None:
        """Delete the models of all other trials, and what a killed process left half written."""
        with suppress(OSError):
            for path in self._folder.iterdir() if self._folder else ():
                if path.name not in trial_ids:
                    kept_files.delete(path)

    def _room(self, folder: Path) -> bool:
        taken = sum(map(kept_files.size_bytes, folder.iterdir()))
        return taken < BUDGET_BYTES and shutil.disk_usage(folder).free > SPARE_BYTES
