"""What the store's tables say, as the rows, sweeps and details that pages draw."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, func, select

from engine.outcome.row import Progress, Row, State
from engine.store import notes, schema
from engine.store.schema import trials

BATCH = 500  # ids in one IN (...); databases limit a statement's parameters
_COLUMNS = (  # what a row is made from, in the order in which `_row` takes it
    *(trials.c.number, trials.c.id, trials.c.comparison_id, trials.c.model, trials.c.recipe, trials.c.protocol),
    *(trials.c.state, trials.c.metrics, trials.c.reasons, trials.c.simulated, trials.c.notes, trials.c.environment),
    *(trials.c.reason, trials.c.created_at, trials.c.started_at, trials.c.finished_at, trials.c.asked),
    *(trials.c.stopped_at, trials.c.left_out_by),
)


@dataclass(frozen=True)
class SweepRow:
    """A submitted sweep and how many of its trials are in which state."""

    id: int
    name: str
    model: str
    created_at: float
    counts: dict[State, int]
    tolerance: float | None = None  # of an anytime sweep: accuracy that decides nothing
    settled: bool = True  # nothing is left to be decided about who goes on

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def unfinished(self) -> int:
        return self.counts.get("queued", 0) + self.counts.get("running", 0)

    @property
    def going(self) -> bool:
        """Whether anything of it will still change by itself."""
        return self.unfinished > 0 or not self.settled


@dataclass(frozen=True)
class Detail:
    """What is shown of one trial only: why and where it failed, and the end of its process's log."""

    reason: str
    traceback: str
    log: str


def batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids in lists short enough for one statement."""
    every = list(ids)
    return (every[start : start + BATCH] for start in range(0, len(every), BATCH))


class Rows:
    """All trials as rows, of which only those that changed since the last look are read; safe between threads."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}  # in the order of their numbers: later ones are always higher
        self._revision = -1
        self._lock = threading.Lock()

    def read(self, connection: Connection) -> list[Row]:
        """The rows as of this transaction, in the order they were first submitted."""
        with self._lock:
            revision = read_revision(connection)
            if revision > self._revision:
                changed = _read(connection, trials.c.changed > self._revision)
                self._rows.update((row.trial_id, row) for row in changed)
                self._revision = revision
            return _with_progress(connection, self._rows.values())


def read_rows(connection: Connection, ids: Iterable[str]) -> list[Row]:
    """The trials of the given ids as rows, in the order they were first submitted."""
    found = [row for part in batches(ids) for row in _read(connection, trials.c.id.in_(part))]
    return _with_progress(connection, found)


def read_revision(connection: Connection) -> int:
    """A number that rises with every change of states and results."""
    return int(connection.scalar(select(schema.meta.c.value).where(schema.meta.c.name == "revision")) or 0)


def read_progress(connection: Connection) -> dict[str, Progress]:
    """How far each running trial has come, by trial id."""
    table = schema.progress
    return {r.trial_id: Progress(r.stage, r.done, r.total, r.seconds_left) for r in connection.execute(select(table))}


def read_sweeps(connection: Connection) -> list[SweepRow]:
    """All sweeps, the newest first."""
    inside = schema.sweep_trials
    joined = inside.join(trials, trials.c.id == inside.c.trial_id)
    query = select(inside.c.sweep_id, trials.c.state, func.count(), func.min(trials.c.model)).select_from(joined)
    counts: dict[int, dict[State, int]] = defaultdict(dict)
    models: dict[int, str] = {}
    for sweep_id, state, count, model in connection.execute(query.group_by(inside.c.sweep_id, trials.c.state)):
        counts[sweep_id][state] = count
        models[sweep_id] = model
    newest_first = select(schema.sweeps).order_by(schema.sweeps.c.id.desc())
    return [
        SweepRow(r.id, r.name, models.get(r.id, ""), r.created_at, counts[r.id], r.tolerance, r.settled)
        for r in connection.execute(newest_first)
    ]


def _read(connection: Connection, where: ColumnElement[bool]) -> list[Row]:
    sweeps: dict[str, list[int]] = defaultdict(list)
    table = schema.sweep_trials
    inside = select(table.c.trial_id, table.c.sweep_id).where(table.c.trial_id.in_(select(trials.c.id).where(where)))
    for trial_id, sweep_id in connection.execute(inside.order_by(table.c.sweep_id)):
        sweeps[trial_id].append(sweep_id)
    found = connection.execute(select(*_COLUMNS).where(where))
    # By number, and here: a database that sorts moves about all that the rows hold.
    return [_row(values, sweeps) for values in sorted(found, key=itemgetter(0))]


def _with_progress(connection: Connection, rows: Iterable[Row]) -> list[Row]:
    running = read_progress(connection)
    return [replace(row, progress=running[row.trial_id]) if row.trial_id in running else row for row in rows]


def _row(values: Sequence[Any], sweeps: Mapping[str, Sequence[int]]) -> Row:
    """A row of its columns' values: taken at once, since asking for each by its name took a quarter of the time."""
    _, trial_id, comparison_id, model, recipe, protocol, *values = values
    state, metrics, reasons, simulated, said, environment, *values = values
    reason, created_at, started_at, finished_at, asked, stopped_at, left_out_by = values
    return Row(
        trial_id=trial_id,
        comparison_id=comparison_id,
        model=model,
        recipe=recipe,
        protocol=_shared(protocol),
        state=state,
        metrics=orjson.loads(metrics),
        reasons=_shared(reasons),
        simulated=simulated,
        notes=notes.texts(said),
        environment=_shared(environment),
        sweep_ids=tuple(sweeps.get(trial_id, ())),
        reason=reason,
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
        measures=split(asked),
        stopped_at=stopped_at,
        left_out_by=left_out_by,
    )


@lru_cache(maxsize=256)
def _shared(text: str) -> MappingProxyType[str, Any]:
    """The mapping of a JSON text that many trials share, read once."""
    return MappingProxyType(orjson.loads(text))


@lru_cache(maxsize=64)
def split(measures: str) -> tuple[str, ...]:
    """Measures from their column's text."""
    return tuple(measures.split(",")) if measures else ()
