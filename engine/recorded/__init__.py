"""Results that ship with the package, so that there is something true to see before anything was measured here.

Each `*.json` beside this file is what `python -m engine front --answers --json` wrote after a real sweep, unchanged.
Rows made from them are flagged `recorded`: pages show them as such and never mix them silently with the user's own.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import InputError
from engine.outcome.kept import Kept, Profile
from engine.outcome.row import Row
from engine.outcome.texts import Text
from engine.spec import Protocol, parse
from engine.store import ItemResult, items

FOLDER = Path(__file__).parent
_FIELDS: dict[str, type] = {
    "trial": str,
    "comparison": str,
    "model": str,
    "recipe": str,
    "protocol": dict,
    "metrics": dict,
    "reasons": dict,
    "environment": dict,
    "simulated": bool,
    "notes": list,
    "on_front": bool,
}
_PROVENANCE = ("cpu", "date", "torch", "kneepoint", "commit")


class Entry(NamedTuple):
    """A recorded trial: its row, flagged as recorded, and what was recorded beside it: of its texts the first few."""

    row: Row
    kept: Kept
    packed: Mapping[str, str] = {}  # by task, its answers as `pack_answers` makes them

    @property
    def items(self) -> dict[str, list[ItemResult]]:
        """How the trial answered, by task; empty where that was not recorded."""
        return {task: items.unpack(base64.b64decode(text)) for task, text in self.packed.items()}


def pack_answers(answered: Mapping[str, Sequence[ItemResult]]) -> dict[str, str]:
    """A trial's answers by task as text that takes few bytes, log-likelihoods rounded."""
    return {task: base64.b64encode(items.pack(items.rounded(found))).decode() for task, found in answered.items()}


def recorded(folder: Path = FOLDER) -> list[Row]:
    """The rows of every recorded file. Raises as `entries` does."""
    return [entry.row for entry in entries(folder).values()]


def entries(folder: Path = FOLDER) -> dict[str, Entry]:
    """What every recorded file holds, by trial id, files by name; empty where there is none.

    Raises InputError, naming the file, the entry and what is wrong, for a file that `front --json` didn't write.
    """
    found: dict[str, Entry] = {}
    for path in sorted(folder.glob("*.json")):
        for entry in read(path):
            if entry.row.trial_id in found:
                raise InputError(f"recorded results {path.name}: trial {entry.row.trial_id} is recorded twice")
            found[entry.row.trial_id] = entry
    return found


def read(path: Path) -> list[Entry]:
    """What one file holds that `front --json` wrote; raises InputError where it is broken."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"can't read the recorded results {path.name}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"recorded results {path.name}: not JSON: {error}") from None
    if not isinstance(content, list):
        raise InputError(f"recorded results {path.name}: expected the list that `front --json` writes")
    named = [(entry, f"recorded results {path.name}, entry {n}") for n, entry in enumerate(content)]
    return [Entry(_row(entry, where), _kept(entry, where), _packed(entry, where)) for entry, where in named]


def _row(entry: Any, where: str) -> Row:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: expected a mapping, got {type(entry).__name__}")
    for name, kind in _FIELDS.items():
        if not isinstance(entry.get(name), kind):
            found = type(entry[name]).__name__ if name in entry else "nothing"
            raise InputError(f"{where}: {name} must be a {kind.__name__}, got {found}")
    try:
        recipe, protocol = parse(entry["recipe"]), Protocol.from_dict(entry["protocol"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    finished = _date(entry["environment"], where).timestamp()
    return Row(
        trial_id=entry["trial"],
        comparison_id=entry["comparison"],
        model=entry["model"],
        recipe=recipe.text,
        protocol={**entry["protocol"], "tasks": list(protocol.tasks)},
        metrics=_metrics(entry["metrics"], where),
        reasons={str(name): str(why) for name, why in entry["reasons"].items()},
        simulated=entry["simulated"],
        notes=tuple(str(note) for note in entry["notes"]),
        environment=entry["environment"],
        recorded=True,
        created_at=finished,
        finished_at=finished,
    )


def _metrics(values: Mapping[str, Any], where: str) -> dict[str, float | None]:
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not number:
            raise InputError(f"{where}: metric {name} must be a finite number or null, got {value!r}")
    return dict(values)


def _kept(entry: Mapping[str, Any], where: str) -> Kept:
    return Kept(_texts(entry, where), _profiles(entry, where))


def _texts(entry: Mapping[str, Any], where: str) -> tuple[Text, ...]:
    try:
        return tuple(Text.from_dict(values) for values in entry.get("texts", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: texts are not as `front --json` writes them: {error}") from None


def _profiles(entry: Mapping[str, Any], where: str) -> dict[str, Profile]:
    found = entry.get("profiles", {})
    if not isinstance(found, dict) or not all(isinstance(profile, dict) for profile in found.values()):
        raise InputError(f"{where}: profiles must be mappings by name")
    return found


def _packed(entry: Mapping[str, Any], where: str) -> dict[str, str]:
    found = entry.get("answers", {})
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise InputError(f"{where}: answers must be texts by task")
    return found


def _date(environment: Mapping[str, Any], where: str) -> datetime:
    for name in _PROVENANCE:
        if name not in environment:
            raise InputError(f"{where}: environment must name {name}, or the result has no provenance")
    try:
        return datetime.fromisoformat(environment["date"])
    except (TypeError, ValueError):
        raise InputError(f"{where}: date must be in ISO 8601, got {environment['date']!r}") from None
