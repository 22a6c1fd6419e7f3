"""`lm_eval:<name>`: a task of the installed lm-evaluation-harness, answered by our evaluator.

    file("lm_eval:sciq")             # its items as JSON lines, built the first time
    task("lm_eval:sciq")             # how to read them

The harness builds the items itself, in a child process (it imports half the ecosystem and prints a lot), so contexts,
few-shot examples and choices are its own. Their file is kept, and its sha256 covers them in a trial's id. A data folder
that holds task files (`*.yaml`) is searched too, before the harness's own; relative paths in them start there.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.errors import InputError
from engine.packages import complete
from engine.paths import ROOT, cache_dir
from engine.tasks.task import Item, Record, Task

PREFIX = "lm_eval:"
VERSION = 1  # raised when the same task would give other items
REFUSED = 2  # the child's exit status when its last line is for the user
_ITEMS = "items.jsonl"


def named(name: str) -> bool:
    """Whether a task's name means one of the harness."""
    return name.startswith(PREFIX)


def task(name: str) -> Task:
    """The task of a name like "lm_eval:sciq"; whether it has acc_norm is known once its items were built."""
    built = complete.facts(_folder(name), VERSION) or {}
    own = name.removeprefix(PREFIX)
    return Task(
        name=name,
        label=f"{own} (lm-eval)",
        summary=f"{own} of the installed lm-eval",
        columns=("requests", "options", "gold"),
        normalised=built.get("normalised", False),
        read=read,
    )


def read(record: Record, id: int) -> Item:
    """The item that a line of the built file holds."""
    requests = tuple((context, continuation) for context, continuation in record["requests"])
    return Item(id, requests, tuple(record["options"]), record["gold"])


def file(name: str, data_dir: Path | None = None) -> Path:
    """The file of a task's items, built unless it is there for this version of the harness and this data folder.

    Raises InputError, one sentence: no harness, no such task, one that log-likelihoods can't answer, no data.
    """
    given = data_dir.resolve() if data_dir and any(data_dir.glob("*.yaml")) else None
    key = [_harness_version(name), *_stamps(given)]
    folder = _folder(name)
    if not _is_built(folder, key):
        with FileLock(cache_dir() / f"lm_eval-{folder.name}.lock"):
            if not _is_built(folder, key):
                with complete.filling(folder) as (into, facts):
                    facts.update(_build(name, into / _ITEMS, given), version=VERSION, key=key)
    return folder / _ITEMS


def _build(name: str, file: Path, given: Path | None) -> dict[str, Any]:
    """Have a child write the items; what it found out about the task. The child's module imports this one."""
    own = name.removeprefix(PREFIX)
    command = [sys.executable, "-P", "-m", "engine.tasks.harness_items", own]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [*command, str(file.resolve()), *([str(given)] if given else [])],
        cwd=given or ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if ran.returncode == 0:
        found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        return found
    words = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
    if ran.returncode == REFUSED:
        raise InputError(words)
    offline = "ConnectionError" in words or "OfflineMode" in words
    remedy = f"; try again with a network, or give a folder with a {own}.yaml of your own as --data" if offline else ""
    raise InputError(f"lm-eval could not make the items of {name}: {words[:300]}{remedy}")


def _harness_version(name: str) -> str:
    try:
        return metadata.version("lm_eval")
    except metadata.PackageNotFoundError:
        raise InputError(
            f"{name} needs lm-evaluation-harness, which is not installed; `pip install lm_eval==0.4.13`"
        ) from None


def _stamps(folder: Path | None) -> list[str]:
    """What changes when the folder or a file in it does."""
    if folder is None:
        return []
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return [str(folder), *(f"{p.name} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in files)]


def _is_built(folder: Path, key: list[str]) -> bool:
    found = complete.facts(folder, VERSION)
    return found is not None and found["key"] == key


def _folder(name: str) -> Path:
    """Of a task's own; a name may hold what a file name must not."""
    own = name.removeprefix(PREFIX)
    readable = re.sub(r"[^\w-]", "_", own)[:60]
    return cache_dir() / "lm_eval" / f"{readable}-{hashlib.sha256(own.encode()).hexdigest()[:8]}"
