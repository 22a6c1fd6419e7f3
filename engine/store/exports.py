"""Checkpoints that pages ask for: one result in one format, written by the store's one lane (`engine.running.lane`).

As with prompts, nothing here names an owner or raises the store's revision.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, select, update

from engine.outcome.row import Progress
from engine.spec import Trial
from engine.store.schema import exports
from engine.store.store import Store

ExportState = Literal["waiting", "writing", "done", "failed", "stopped"]
UNFINISHED: tuple[ExportState, ...] = ("waiting", "writing")


@dataclass(frozen=True)
class Export:
    """A checkpoint that was asked for.

    name: of the result; format: "plain" or "packed"; card: its README; folder: where it lies, once it is done.
    """

    id: int
    name: str
    trial: Trial
    format: str
    card: str
    state: ExportState
    attempts: int
    progress: Progress
    stop_asked: bool
    folder: str
    reason: str

    @property
    def unfinished(self) -> bool:
        return self.state in UNFINISHED


class Exports:
    """The checkpoints asked of a store; raises StoreError, one sentence, where the database can't be used."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.database, self.clock = store.database, clock

    def ask(self, name: str, trial: Trial, format: str, card: str) -> int:
        """Ask for a result's checkpoint; its id, which is the earlier one's where that is not finished."""
        waits = _of(name, format).where(exports.c.state.in_(UNFINISHED))
        asked = {"name": name, "content": json.dumps(trial.to_dict()), "format": format, "card": card}
        with self.database.write(seen=False) as connection:
            if found := connection.execute(waits).first():
                return int(found.id)
            made = connection.execute(exports.insert().values(**asked, created_at=self.clock()))
            assert made.inserted_primary_key is not None
            return int(made.inserted_primary_key[0])

    def newest(self, name: str, format: str | None = None) -> Export | None:
        """What was last asked of a result, in a format or in any; None where nothing was."""
        return self._first(_of(name, format).order_by(exports.c.id.desc()))

    def next(self) -> Export | None:
        """For the lane: the oldest that is unfinished."""
        return self._first(select(exports).where(exports.c.state.in_(UNFINISHED)).order_by(exports.c.id))

    def ask_to_stop(self, export_id: int) -> None:
        self.write(export_id, stop_asked=True)

    def stop_asked(self, export_id: int) -> bool:
        with self.database.read() as connection:
            return bool(connection.scalar(select(exports.c.stop_asked).where(exports.c.id == export_id)))

    def write(self, export_id: int, **values: Any) -> None:
        """Write columns; for pages only `stop_asked`, the others are the lane's."""
        with self.database.write(seen=False) as connection:
            connection.execute(update(exports).where(exports.c.id == export_id).values(**values))

    def _first(self, query: Select[Any]) -> Export | None:
        with self.database.read() as connection:
            found = connection.execute(query.limit(1)).first()
        return _export(found) if found else None


def _of(name: str, format: str | None) -> Select[Any]:
    query = select(exports).where(exports.c.name == name)
    return query if format is None else query.where(exports.c.format == format)


def _export(found: Any) -> Export:
    columns = ("id", "name", "format", "card", "state", "attempts", "stop_asked", "folder", "reason")
    return Export(
        trial=Trial.from_dict(json.loads(found.content)),
        progress=Progress(found.stage, found.done, found.total),
        **{name: getattr(found, name) for name in columns},
    )
