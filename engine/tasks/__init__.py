"""The zero-shot tasks, one a file, and the reading of their items. Importable without torch.

A task's records come from `<task>.jsonl` in the folder of `--data`, or else from the default data that
`python -m engine fetch` has converted. Both have the columns of the dataset's own release.
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
from engine.tasks import arc, boolq, commonsense_qa, hellaswag, openbookqa, piqa, social_iqa, winogrande
from engine.tasks.task import Item, RecordError, Task

__all__ = ["TASKS", "Item", "Overview", "Task", "chance", "get", "load", "overview", "task_file", "task_sha256"]

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
    )
}


@dataclass(frozen=True)
class Overview:
    """A task as `python -m engine tasks` and the forms list it; `items` is None where there is no data for it yet."""

    name: str
    label: str
    summary: str
    items: int | None
    rejected: int  # records of the default data that could not be converted
    origin: str  # where its items come from, or what to do to have some


def get(name: str) -> Task:
    """The task of a name; raises InputError, with the nearest name, for one that does not exist."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


def load(name: str, limit: int | None = None, data_dir: Path | None = None) -> list[Item]:
    """The first `limit` items of a task, or all of them.

    Raises InputError where the task is unknown or has no data, and where its file is not JSON lines, lacks a column or
    holds an answer out of range: the message names the file, the line and the column.
    """
    task, path = get(name), task_file(name, data_dir)
    items: list[Item] = []
    for number, record in islice(_records(path), limit):
        try:
            items.append(task.read(record, len(items)))
        except RecordError as error:
            raise InputError(f"{path}, line {number}: {error}") from None
    if not items:
        raise InputError(f"{path} holds no records; {name} needs lines with {', '.join(task.columns)}")
    return items


def task_file(name: str, data_dir: Path | None = None) -> Path:
    """The file that holds a task's records: the one in `data_dir`, else the default data's; InputError for neither."""
    task = get(name)
    if data_dir is not None:
        if not data_dir.is_dir():
            raise InputError(f"the data folder {str(data_dir)!r} does not exist or is no folder")
        if (given := data_dir / f"{name}.jsonl").is_file():
            return given
    if converted := embedded.task_file(name):
        return converted
    if task.embedded:
        raise InputError(f"the data of {name} is not on this machine yet; run `python -m engine fetch`")
    raise InputError(
        f"{name} is not in the default data; give a folder with {name}.jsonl "
        f"(columns {', '.join(task.columns)}) as --data or KNEEPOINT_DATA"
    )


def task_sha256(name: str, data_dir: Path | None = None) -> str:
    """The sha256 of the task's file, which a trial's id covers; raises InputError as `task_file` does."""
    with _opened(task_file(name, data_dir)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def chance(items: Sequence[Item]) -> float:
    """The accuracy that needs no model: the better of uniform guessing and always giving one place's answer."""
    uniform = sum(1 / len(item.options) for item in items) / len(items)
    constant = max(Counter(item.gold for item in items).values()) / len(items)
    return max(uniform, constant)


def overview(data_dir: Path | None = None) -> list[Overview]:
    """Every task with how many items it has here and where they come from."""
    rejected = embedded.rejected()
    return [_overview(task, data_dir, rejected.get(task.name, 0)) for task in TASKS.values()]


def _overview(task: Task, data_dir: Path | None, rejected: int) -> Overview:
    try:
        path = task_file(task.name, data_dir)
    except InputError as error:
        return Overview(task.name, task.label, task.summary, None, 0, str(error))
    with _opened(path) as file:
        items = sum(1 for line in file if line.strip())
    if path == embedded.task_file(task.name):
        return Overview(task.name, task.label, task.summary, items, rejected, "default data")
    return Overview(task.name, task.label, task.summary, items, 0, str(path))


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """The (line number, record) pairs of a file of JSON lines; blank lines are skipped."""
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}: not JSON in UTF-8 ({error})") from None
            if not isinstance(record, dict):
                raise InputError(f"{path}, line {number}: a record must be a JSON object, got {line.strip()[:40]!r}")
            yield number, record


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"can't read {str(path)!r}: {error.strerror}") from None
