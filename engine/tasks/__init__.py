"""The zero-shot tasks, one a file, and the reading of their items. Importable without torch.

A task's records come from `<task>.jsonl` in the folder of `--data` (of one made of subsets, also from files of theirs,
`blimp_<subset>.jsonl` or `blimp/<subset>.jsonl`), or else from the default data that `python -m engine fetch` has
converted, or else from the hub, downloaded at first use. All have the columns of the dataset's own release.
`lm_eval:<name>` is a task of an installed lm-evaluation-harness.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from engine.errors import InputError, unknown
from engine.packages import embedded
from engine.spec import TASK_GROUPS
from engine.tasks import (
    arc,
    blimp,
    boolq,
    commonsense_qa,
    copa,
    harness,
    hellaswag,
    hub,
    lambada_openai,
    openbookqa,
    piqa,
    social_iqa,
    winogrande,
)
from engine.tasks.task import Item, RecordError, Task, text

__all__ = [
    "TASKS",
    "Item",
    "Overview",
    "Task",
    "chance",
    "get",
    "is_here",
    "load",
    "overview",
    "task_files",
    "task_label",
    "task_sha256",
]

_PACKED = ("", ".gz", ".bz2", ".xz", ".zst")
_KINDS = ("jsonl", "json", "csv", "tsv", "parquet", "arrow")
_ENDINGS = {f".{kind}{packed}" for kind in _KINDS for packed in _PACKED}  # of data as people keep it; one is read

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        piqa.TASK,
        openbookqa.TASK,
        commonsense_qa.TASK,
        social_iqa.TASK,
        boolq.TASK,
        hellaswag.TASK,
        arc.EASY,
        arc.CHALLENGE,
        winogrande.TASK,
        lambada_openai.TASK,
        copa.TASK,
        blimp.TASK,
    )
}


@dataclass(frozen=True)
class Overview:
    """A task as `python -m engine tasks` and the forms list it; `items` is None where its data is not here yet."""

    name: str
    label: str
    summary: str
    items: int | None
    rejected: int  # records of the default data that could not be converted
    origin: str  # where its items come from, or what to do to have some


def get(name: str) -> Task:
    """The task of a name; raises InputError, with the nearest name, for one that does not exist."""
    if harness.named(name):
        return harness.task(name)
    if name not in TASKS:
        raise unknown("task", name, [*TASKS, *TASK_GROUPS])
    return TASKS[name]


def task_label(name: str) -> str:
    """What people call a task: its label, or its name where it is one of the harness or of another version."""
    return TASKS[name].label if name in TASKS else name


def load(name: str, limit: int | None = None, data_dir: Path | None = None) -> list[Item]:
    """The first `limit` items of a task, or all of them; of a task made of subsets, the first `limit` of each.

    Raises InputError where the task is unknown or has no data, and where its file is not JSON lines, lacks a column or
    holds an answer out of range: the message names the file, the line and the column.
    """
    files = task_files(name, data_dir)
    task = get(name)
    items: list[Item] = []
    taken: Counter[str] = Counter()
    for id, (where, record) in enumerate(islice(_records(files), None if task.subset else limit)):
        try:
            if task.subset:
                taken[subset := text(record, task.subset)] += 1
                if limit is not None and taken[subset] > limit:
                    continue
            items.append(task.read(record, id))
        except RecordError as error:
            raise InputError(f"{where}: {error}") from None
    if not items:
        raise InputError(f"{files[0]} holds no records; {name} needs lines with {', '.join(task.columns)}")
    return items


def task_files(name: str, data_dir: Path | None = None) -> tuple[Path, ...]:
    """The files that hold a task's records, one after the other: those in `data_dir`, else the default data's, else the
    hub's, downloaded unless they are here. All but a task made of subsets have one.

    Raises InputError where there is no data and none can be had, or where `data_dir` has the task's under a name or in
    a form that is not read: the message says what to do.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(f"the data folder {str(data_dir)!r} does not exist or is no folder")
    if harness.named(name):
        return (harness.file(name, data_dir),)
    task = get(name)
    if data_dir is not None:
        if given := _given(task, data_dir):
            return given
        _refuse_unread(task, data_dir)
    if here := _files_here(task, None):
        return here
    if task.hub is None:
        raise InputError(
            f"the data of {name} is not on this machine yet; run `python -m engine fetch`, "
            f"or give a folder with {name}.jsonl as --data or KNEEPOINT_DATA"
        )
    return (hub.fetch(name, task.hub),)


def is_here(name: str, data_dir: Path | None = None) -> bool:
    """Whether a task of our own has its data on this machine, so that reading it asks no network."""
    return bool(_files_here(get(name), data_dir))


def task_sha256(name: str, data_dir: Path | None = None) -> str:
    """The sha256 of the task's files, which a trial's id covers; raises InputError as `task_files` does."""
    digest = hashlib.sha256()
    for path in task_files(name, data_dir):
        with _opened(path) as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def chance(items: Sequence[Item]) -> float:
    """The accuracy that needs no model: the better of uniform guessing and always giving one place's answer.

    A place is no answer where every right choice stands at the same one, as in files that name it first. Nothing to
    choose from leaves nothing to guess: 0.
    """
    uniform = sum(1 / len(item.options) for item in items if item.gold is not None) / len(items)
    places = Counter(item.gold for item in items if item.gold is not None)
    return max(uniform, max(places.values()) / len(items)) if len(places) > 1 else uniform


def overview(data_dir: Path | None = None) -> list[Overview]:
    """Every task with how many items it has here and where they come from; never asks the network."""
    rejected = embedded.rejected()
    return [_overview(task, data_dir, rejected.get(task.name, 0)) for task in TASKS.values()]


def _overview(task: Task, data_dir: Path | None, rejected: int) -> Overview:
    files = _files_here(task, data_dir)
    if not files:
        origin = "from the hub, at its first use" if task.hub else "not fetched yet"
        return Overview(task.name, task.label, task.summary, None, 0, origin)
    items = sum(1 for path in files for line in _lines(path) if line.strip())
    if files[0] == embedded.task_file(task.name):
        return Overview(task.name, task.label, task.summary, items, rejected, "default data")
    origin = f"the hub's {task.hub.dataset}" if task.hub and files == _downloaded(task) else str(files[0])
    return Overview(task.name, task.label, task.summary, items, 0, origin)


def _files_here(task: Task, data_dir: Path | None) -> tuple[Path, ...]:
    """A task's files that need no network; none where there are none."""
    if data_dir is not None and (given := _given(task, data_dir)):
        return given
    if converted := embedded.task_file(task.name):
        return (converted,)
    return _downloaded(task)


def _given(task: Task, data_dir: Path) -> tuple[Path, ...]:
    """A task's files in the user's folder; none where there are none."""
    if (whole := data_dir / f"{task.name}.jsonl").is_file():
        return (whole,)
    patterns = (f"{task.name}_*.jsonl", f"{task.name}/*.jsonl") if task.subset else ()
    return next((tuple(sorted(parts)) for pattern in patterns if (parts := list(data_dir.glob(pattern)))), ())


def _refuse_unread(task: Task, data_dir: Path) -> None:
    """Raise InputError where the user's folder has a task's data as we don't read it: other data would be taken."""
    for path in sorted(data_dir.glob("*")):
        name, dot, ending = path.name.partition(".")
        if name.lower().replace("-", "_") == task.name and (f"{dot}{ending}" in _ENDINGS or path.is_dir()):
            kind = "" if path.is_file() else " (a folder)" if path.is_dir() else " (no file)"
            raise InputError(
                f"the data folder has {path.name!r}{kind}, which is not read: the questions of {task.name} are "
                f"{task.name}.jsonl there, JSON lines with {', '.join(task.columns)}"
            )


def _downloaded(task: Task) -> tuple[Path, ...]:
    path = hub.downloaded(task.name, task.hub) if task.hub else None
    return (path,) if path else ()


def _records(files: Sequence[Path]) -> Iterator[tuple[str, Any]]:
    """The records of files of JSON lines, each with where it stands; blank lines are skipped."""
    for path in files:
        for number, line in enumerate(_lines(path), 1):
            if line.strip():
                yield f"{path}, line {number}", _record(f"{path}, line {number}", line)


def _record(where: str, line: bytes) -> Any:
    try:
        record = json.loads(line)
        json.dumps(record, ensure_ascii=False).encode()  # half an emoji, \ud83d alone, is no text
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON in UTF-8 ({error})") from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: a record must be a JSON object, got {line.strip()[:40]!r}")
    return record


def _lines(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        yield from file


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"can't read {str(path)!r}: {error.strerror}") from None
