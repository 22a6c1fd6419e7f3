"""Whether a model can be loaded, found out before any work: no weights are read, and once for the same files.

    refuse_unloadable(source)

That takes transformers and torch, so a process of its own tells, with the sentence that a trial would fail with.
Importable without torch.
"""

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine import assets
from engine.errors import InputError
from engine.network import sources
from engine.network.sources import Source
from engine.paths import cache_dir
from engine.system import entry
from engine.system.child import Event, run_in_child
from engine.system.events import Events
from engine.system.whole_files import replace_text

LOOK = (sys.executable, "-m", "engine.network.loadable")
PATIENCE_S = 120.0  # for some seconds' work; what takes longer is left to the trials


def refuse_unloadable(source: Source) -> None:
    """Raise InputError where loading the model would, but for what only its weights' numbers tell.

    The first look at a model takes some seconds, most of them imports; the default's files were made by `fetch`.
    """
    if source.name != assets.MODEL_NAME and (said := _said(source.name, source.revision, _stamp(source.folder))):
        raise InputError(said)


def look(content: Mapping[str, Any], events: Events) -> None:
    """What is wrong with a model, as a note."""
    from engine import models

    try:
        models.refuse_unloadable(sources.resolve(content["model"], content["revision"], fetch=False))
    except InputError as error:
        events.note(str(error))


@lru_cache(maxsize=64)
def _said(name: str, revision: str | None, stamp: str) -> str:
    """What is wrong with a model, empty where nothing is, or where the process that looks could not tell."""
    fine = cache_dir() / "loadable" / stamp
    if fine.is_file():
        return ""
    said: list[str] = []

    def on_event(event: Event) -> None:
        if event["event"] == "note":
            said.append(str(event["text"]))

    end = time.monotonic() + PATIENCE_S
    outcome = run_in_child({"model": name, "revision": revision}, on_event, lambda: time.monotonic() > end, LOOK)
    if outcome.state == "done" and not said:
        with suppress(OSError):  # a full disk costs the memory of it, not the answer
            replace_text(fine, name)
    return "".join(said)


def _stamp(folder: Path) -> str:
    """What changes when a model's files do, or what reads them."""
    files = sorted((path.name, path.stat()) for path in folder.iterdir() if path.is_file())
    identity = [str(folder), [version(name) for name in ("transformers", "tokenizers", "torch")]]
    content = json.dumps([identity, [(name, status.st_size, status.st_mtime_ns) for name, status in files]])
    return hashlib.sha256(content.encode()).hexdigest()


if __name__ == "__main__":
    entry.main(look)
