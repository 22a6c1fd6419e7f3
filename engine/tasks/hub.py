"""Data sets of the hub, each at one commit: downloaded at their first use, kept as `<task>.jsonl` with its sha256.

    fetch("hellaswag", source)       # the file, from the network the first time
    downloaded("hellaswag", source)  # the file or None, never from the network

Columns stay as the hub's release names them. The `datasets` library is imported only for a download, and no code of a
data set is ever run.
"""

import errno
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.errors import InputError
from engine.packages import complete, download
from engine.paths import cache_dir

VERSION = 1  # raised when the conversion gives other files


@dataclass(frozen=True)
class HubData:
    """One split of a data set at one commit; where it has several configurations, one after the other."""

    dataset: str  # owner/name
    revision: str  # the commit
    split: str
    configs: tuple[str | None, ...] = (None,)  # None: the only one


def downloaded(task: str, source: HubData) -> Path | None:
    """The task's file, or None where it was not downloaded yet or is of another commit; compares sizes only."""
    found = complete.facts(_folder(task), VERSION)
    same = found is not None and (found["dataset"], found["revision"]) == (source.dataset, source.revision)
    return _file(_folder(task), task) if same else None


def fetch(task: str, source: HubData) -> Path:
    """The task's file, downloaded unless it is here; several processes may call it at once.

    Raises InputError, one sentence with what to do instead, where the hub or the library is out of reach.
    """
    if path := downloaded(task, source):
        return path
    try:
        return _fetch_missing(task, source)
    except ImportError:
        why, remedy = "the `datasets` library is not installed", "`pip install datasets`"
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"the disk of {cache_dir()} is full; nothing was kept of {task}") from None
        why, remedy = " ".join(str(error).split())[:200], "try again with a network"
    raise InputError(
        f"{task} could not be taken from the hub, {source.dataset} ({why}): {remedy}, "
        f"or give a folder with {task}.jsonl as --data or KNEEPOINT_DATA"
    )


def load_rows(source: HubData, config: str | None) -> Iterable[Mapping[str, Any]]:
    """The rows of one configuration, from the network or the library's own cache.

    Raises ImportError without the library, OSError for whatever else goes wrong.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub.utils import httpx, logging

    logging.set_verbosity_error()  # its account of every retry; how they end is said in one sentence
    try:
        rows: Iterable[Mapping[str, Any]] = load_dataset(
            source.dataset, config, split=source.split, revision=source.revision
        )
    except (DatasetsError, httpx.HTTPError, ValueError) as error:  # ValueError: no such configuration or split
        raise error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error)) from None
    return rows


def _fetch_missing(task: str, source: HubData) -> Path:
    with FileLock(cache_dir() / f"hub-{task}.lock"):
        if path := downloaded(task, source):
            return path
        with complete.filling(_folder(task)) as (into, facts):
            with _file(into, task).open("w", encoding="utf-8") as file:
                facts["records"] = sum(file.write(line) > 0 for line in _lines(source))
            sha256 = download.sha256(_file(into, task))
            facts.update(version=VERSION, dataset=source.dataset, revision=source.revision, sha256=sha256)
    return _file(_folder(task), task)


def _lines(source: HubData) -> Iterator[str]:
    for config in source.configs:
        for row in load_rows(source, config):
            yield json.dumps(row, ensure_ascii=False) + "\n"


def _folder(task: str) -> Path:
    return cache_dir() / "hub" / task


def _file(folder: Path, task: str) -> Path:
    return folder / f"{task}.jsonl"
