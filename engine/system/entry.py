"""The entry point of a child process: the job on its standard input, its events, and a sentence when it fails.

    if __name__ == "__main__":
        entry.main(run)      # run(job, events)

Used by every module that `engine.system.child.run_in_child` starts.
"""

import json
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from engine.errors import InputError
from engine.paths import cache_dir
from engine.system.child import exit_with_parent, leave
from engine.system.events import Events

Work = Callable[[Mapping[str, Any], Events], None]

_NO_MEMORY = ("out of memory", "can't allocate memory")  # as torch says it, of a GPU and of the CPU
_FULL_BELOW = 100_000_000  # bytes free: what did not fit may be gone again
LESS_MEMORY = "close other programs, choose a smaller model, or use fewer or shorter windows, then retry"


def main(work: Work) -> NoReturn:
    """Do the work and leave: 0 when it is done, 1 when it failed, which its last event says."""
    leave(attempt(work, Events.on_stdout()))


def attempt(work: Work, events: Events) -> int:
    """Read the job and do the work; the exit status."""
    exit_with_parent()
    try:
        work(json.load(sys.stdin), events)
    except Exception as error:
        events.failed(explain(error, events.current), traceback.format_exc())
        return 1
    events.done()
    return 0


def explain(error: Exception, stage: str) -> str:
    """Why a job failed, in one sentence for its user."""
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text
    during = f" (stage: {stage})" if stage else ""
    if isinstance(error, MemoryError) or any(said in text for said in _NO_MEMORY):
        return f"ran out of memory{during}: {LESS_MEMORY}"
    if "No space left on device" in text:
        return f"the disk{_full_disks()} is full{during}: free some space, then retry"
    return f"{type(error).__name__}{during}: {text[:300]}"


def _full_disks() -> str:
    """Of the folders that jobs write to, those that have next to no room, such as " of /tmp"."""
    folders = dict.fromkeys((cache_dir(), Path(tempfile.gettempdir())))
    full = [str(folder) for folder in folders if shutil.disk_usage(folder).free < _FULL_BELOW]
    return f" of {' and '.join(full)}" if full else ""
