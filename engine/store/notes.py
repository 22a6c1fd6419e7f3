"""A trial's notes by what said them, so that a measure that runs again says anew what there is to say of it.

In their column they are JSON, {what said them: [text, …]}: a measure; LEFT_OUT, the decision that leaves a trial out of
an anytime sweep; or GENERAL, what the model and the recipe give rise to, which every run says again.
"""

import json
from collections.abc import Sequence
from functools import lru_cache

import orjson
from sqlalchemy import Connection, select, update

from engine.store.schema import trials

GENERAL = ""
LEFT_OUT = "left_out_by"


@lru_cache(maxsize=256)  # many trials have the same
def texts(column: str) -> tuple[str, ...]:
    """The notes of a column's text, in the order in which their sources first spoke."""
    return tuple(text for said in orjson.loads(column).values() for text in said)


def add(connection: Connection, trial_id: str, text: str) -> None:
    """Add a general note, unless it is there."""
    kept = _read(connection, trial_id)
    _write(connection, trial_id, {**kept, GENERAL: [*dict.fromkeys([*kept.get(GENERAL, ()), text])]})


def replace(connection: Connection, trial_id: str, said_by: str, said: Sequence[str]) -> None:
    """Keep what a source says now in place of what it said before."""
    kept = _read(connection, trial_id)
    kept.pop(said_by, None)
    _write(connection, trial_id, {**kept, said_by: list(said)} if said else kept)


def _read(connection: Connection, trial_id: str) -> dict[str, list[str]]:
    column = connection.scalar(select(trials.c.notes).where(trials.c.id == trial_id)) or "{}"
    kept: dict[str, list[str]] = json.loads(column)
    return kept


def _write(connection: Connection, trial_id: str, kept: dict[str, list[str]]) -> None:
    connection.execute(update(trials).where(trials.c.id == trial_id).values(notes=json.dumps(kept)))
