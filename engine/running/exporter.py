"""Writes compressed models as folders, each in a process of its own (`engine.running.export`). Importable without
torch.

    write(trial, "plain", folder, …)              at once, for whoever waits for it
    Exporter(exports, stop, say).run_next()       what pages asked a store for, into the cache folder

A folder is whole or not there, also where the process that was to write it is stopped or killed; what a killed one left
beside it goes when it is written again.
"""

import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from engine.errors import InputError
from engine.paths import cache_dir
from engine.spec import Trial
from engine.store import Export, Exports, StoreError
from engine.system import entry
from engine.system.child import Event, Outcome, run_in_child
from engine.system.every import Every
from engine.system.work_folder import work_folder

EXPORT = (sys.executable, "-m", "engine.running.export")
WRITE_S = 0.3
MOST_ATTEMPTS = 2
LOST = (
    "the process that writes was lost twice at this checkpoint, most likely because memory ran out: close other "
    "programs, then write it again"
)


def write(
    trial: Trial,
    format: str,
    folder: Path,
    on_event: Callable[[Event], None],
    cancelled: Callable[[], bool],
    *,
    card: str = "",
    yields: bool = False,
) -> Outcome:
    """Compress a trial's model and write it, "plain" or "packed"; how that ended.

    folder: one that is empty or not there yet, in a folder that is; card: its README; yields: stand still while a
    timing has the machine. Raises InputError where nothing can be written beside it.
    """
    with ExitStack() as beside:
        try:
            work_dir = beside.enter_context(work_folder(folder.parent, f".{folder.name[:80]}"))
        except OSError as error:
            raise InputError(f"can't write into the folder {str(folder.parent)!r}: {error.strerror}") from None
        job = {"trial": trial.to_dict(), "folder": str(folder), "work_dir": str(work_dir), "format": format}
        return run_in_child({**job, "card": card, "yields": yields}, on_event, cancelled, EXPORT)


class Exporter:
    """Writes what a store's pages asked for; `stop` makes it leave off, for the next one to begin again."""

    def __init__(self, exports: Exports, stop: threading.Event, say: Callable[[str], None]) -> None:
        self.exports, self.stop, self.say = exports, stop, say

    def run_next(self) -> bool:
        """Write the oldest checkpoint that waits; False where none does. Whatever goes wrong costs only that one."""
        asked = self.exports.next()
        if asked is None:
            return False
        name = f"{asked.trial.recipe.text}, checkpoint {asked.id}"
        try:
            folder = _folder(asked)
            outcome = self._write(asked, folder)
        except StoreError:
            raise
        except Exception as error:
            outcome = Outcome("failed", entry.explain(error, ""))
            self.say(traceback.format_exc())
        if outcome.state == "cancelled" and not self.exports.stop_asked(asked.id):
            self.exports.write(asked.id, state="waiting", attempts=asked.attempts)  # the next lane's to do
        elif outcome.state == "done":
            self.exports.write(asked.id, state="done", folder=str(folder))
        else:
            state = "stopped" if outcome.state == "cancelled" else "failed"
            self.exports.write(asked.id, state=state, reason=outcome.reason)
        self.say(f"{name}: {outcome.state}" + (outcome.reason and f", {outcome.reason}"))
        return True

    def _write(self, asked: Export, folder: Path) -> Outcome:
        """How writing ended; done at once where the folder is there, which another store of this cache has had made."""
        if asked.stop_asked:
            return Outcome("cancelled")
        if asked.attempts >= MOST_ATTEMPTS:
            raise InputError(LOST)
        if folder.exists():
            return Outcome("done")
        self.exports.write(asked.id, state="writing", attempts=asked.attempts + 1)
        due, look = Every(WRITE_S), Every(WRITE_S)

        def on_event(event: Event) -> None:
            if event["event"] == "stage":
                self.exports.write(asked.id, stage=event["stage"], done=0, total=event.get("total") or 0)
            elif event["event"] == "progress" and due():
                self.exports.write(asked.id, done=event["done"], total=event["total"])

        def must_stop() -> bool:
            return self.stop.is_set() or (look() and self.exports.stop_asked(asked.id))

        return write(asked.trial, asked.format, folder, on_event, must_stop, card=asked.card, yields=True)


def _folder(asked: Export) -> Path:
    """Where a checkpoint goes: named so that people find it, and the same for the same one."""
    parent = cache_dir() / "exports"
    parent.mkdir(exist_ok=True)
    return parent / f"{Path(asked.trial.model).name[:80]}-{asked.trial.id}-{asked.format}"
