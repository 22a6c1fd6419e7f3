"""What pages and the command line do with a store: submit, cancel, retry, and read.

Submitting inserts queued rows and cancelling inserts a request; every other change of a state is the worker's
(`engine.store.queue`). Trials are found by their id, so a question already answered is never asked again, and measures
accumulate: asking a finished trial for more queues only what it lacks.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from engine.errors import InputError
from engine.kept import Kept, Profile
from engine.row import Progress, Row, State
from engine.spec import KNOWN_MEASURES, MEASURES, Trial
from engine.store import notes, schema, texts
from engine.store.database import Database
from engine.store.items import ItemResult, unpack
from engine.store.rows import (
    Detail,
    Rows,
    SweepRow,
    batches,
    read_progress,
    read_revision,
    read_rows,
    read_sweeps,
    split,
)
from engine.store.schema import trials
from engine.store.states import move
from engine.texts import Text

PAIRED = ("perplexity", "accuracy")  # measures that are compared with the dense trial's
DECIDED_BY = ("size", "accuracy")  # what an anytime sweep needs of every trial
FIRST_SHARE = 0.1  # of the questions that its trials answer first
OF_DENSE = ("size", *PAIRED)  # what a dense trial is measured for beside: its size is cheap, and a front shows it


@dataclass(frozen=True)
class Submitted:
    """What became of a submission: its sweep, the trials that will run, and those whose results are already there."""

    sweep_id: int
    queued: tuple[str, ...]
    reused: tuple[str, ...]


class Store:
    """The trials, results and requests at a database URL; safe to share between threads.

    Every method raises StoreError, one sentence, where the database can't be used.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time, to_read: bool = False) -> None:
        """to_read: whether a file that can't be written is opened all the same; what would write then raises."""
        self.url = url
        self.database = Database(url, to_read)
        self.clock = clock
        self._rows = Rows()

    def close(self) -> None:
        self.database.close()

    def submit(
        self,
        asked: Sequence[Trial],
        measures: Collection[str] = MEASURES,
        sweep_name: str = "",
        kept: bool = True,
        tolerance: float | None = None,
    ) -> Submitted:
        """Ask for measures of trials, in the order they shall run, as one sweep.

        A dense trial that the paired measures need and that is missing here is put first. Failed and cancelled trials
        are queued again; a pending request to cancel any of them is withdrawn. Unless `kept`, no sweep is listed for
        them, and `sweep_id` is 0. With a tolerance it is an anytime sweep: a trial answers a first share of its
        questions, and what more it answers is decided as results come in (`engine.stages`). Raises InputError where
        such a sweep lacks a measure that it decides by.
        """
        if tolerance is not None and (lacking := [name for name in DECIDED_BY if name not in measures]):
            raise InputError(f"a sweep with a tolerance is decided by size and accuracy; measure {lacking[0]} too")
        wanted = _with_dense(asked, measures)
        share = None if tolerance is None else FIRST_SHARE
        now = self.clock()
        with self.database.write() as connection:
            known = _read_known(connection, wanted)
            position = _take_positions(connection, len(wanted))
            queued: set[str] = set()
            new: list[dict[str, object]] = []
            for place, (trial_id, want) in enumerate(wanted.items(), position):
                if trial_id not in known:
                    new.append(_new(trial_id, want, place, now, share))
                elif _ask(connection, trial_id, want, known[trial_id], place, share):
                    queued.add(trial_id)
            if new:
                connection.execute(trials.insert(), new)
            _withdraw(connection, known)
            sweep_id = _keep_sweep(connection, sweep_name, list(wanted), known, now, tolerance) if kept else 0
        queued |= wanted.keys() - known.keys()
        return Submitted(sweep_id, tuple(i for i in wanted if i in queued), tuple(i for i in wanted if i not in queued))

    def missing(
        self, asked: Sequence[Trial], measures: Collection[str] = MEASURES, anytime: bool = False
    ) -> dict[str, tuple[str, ...]]:
        """What `submit`, with a tolerance if `anytime`, would have to run: by trial id, what has no result."""
        wanted = _with_dense(asked, measures)
        with self.database.read() as connection:
            known = _read_known(connection, wanted)
        lacking = {
            i: known[i].lacking(want.measures, anytime) if i in known else want.measures for i, want in wanted.items()
        }
        return {trial_id: more for trial_id, more in lacking.items() if more}

    def retry(self, trial_id: str) -> None:
        """Queue a failed or cancelled trial again, at the end; raises StateError where it is neither."""
        with self.database.write() as connection:
            position = _take_positions(connection, 1)
            again: dict[str, Any] = {"reason": "", "attempts": 0, "owner": None}
            move(connection, trial_id, "queued", sources=("failed", "cancelled"), position=position, **again)
            _withdraw(connection, [trial_id])
            inside = select(schema.sweep_trials.c.sweep_id).where(schema.sweep_trials.c.trial_id == trial_id)
            undecided = schema.sweeps.c.id.in_(inside) & schema.sweeps.c.tolerance.is_not(None)
            connection.execute(update(schema.sweeps).where(undecided).values(settled=False))

    def request_cancel(self, trial_ids: Iterable[str] = (), sweep_id: int | None = None) -> int:
        """Ask the worker to cancel those of the trials that are not finished; the number of requests made.

        With `sweep_id`, all trials of that sweep, also those that another sweep waits for; an anytime sweep is then
        settled as it stands.
        """
        inside = select(schema.sweep_trials.c.trial_id).where(schema.sweep_trials.c.sweep_id == sweep_id)
        with self.database.write() as connection:
            connection.execute(update(schema.sweeps).where(schema.sweeps.c.id == sweep_id).values(settled=True))
            ids = [*dict.fromkeys([*trial_ids, *(connection.scalars(inside) if sweep_id is not None else ())])]
            requests = schema.cancel_requests
            pending = set(connection.scalars(select(requests.c.trial_id)))
            unfinished = trials.c.state.in_(("queued", "running"))
            live = {
                i
                for part in batches(ids)
                for i in connection.scalars(select(trials.c.id).where(trials.c.id.in_(part), unfinished))
            }
            new = [{"trial_id": i, "created_at": self.clock()} for i in ids if i in live - pending]
            if new:
                connection.execute(requests.insert(), new)
        return len(new)

    def cancelling(self) -> frozenset[str]:
        """The trials that someone asked to cancel and the worker has not stopped yet."""
        with self.database.read() as connection:
            return frozenset(connection.scalars(select(schema.cancel_requests.c.trial_id)))

    def revision(self) -> int:
        """A number that rises with every change of states and results, and not with mere progress."""
        with self.database.read() as connection:
            return read_revision(connection)

    def rows(
        self, trial_ids: Collection[str] | None = None, states: Collection[State] = (), sweep_id: int | None = None
    ) -> list[Row]:
        """The trials, in the order they were first submitted; filters that are given narrow them.

        Without `trial_ids` only what changed since the last call is read from the database.
        """
        with self.database.read() as connection:
            found = self._rows.read(connection) if trial_ids is None else read_rows(connection, trial_ids)
        if states:
            found = [row for row in found if row.state in states]
        return found if sweep_id is None else [row for row in found if sweep_id in row.sweep_ids]

    def row(self, trial_id: str) -> Row:
        """One trial; raises InputError where there is none of that id."""
        found = self.rows([trial_id])
        if not found:
            raise InputError(f"there is no trial {trial_id!r} in the store")
        return found[0]

    def progress(self) -> dict[str, Progress]:
        """How far each running trial has come, by trial id: cheap, for polling between changes of the revision."""
        with self.database.read() as connection:
            return read_progress(connection)

    def trial(self, trial_id: str) -> Trial:
        """The question behind an id; raises InputError where there is none of that id."""
        with self.database.read() as connection:
            content = connection.scalar(select(trials.c.content).where(trials.c.id == trial_id))
        if content is None:
            raise InputError(f"there is no trial {trial_id!r} in the store")
        return Trial.from_dict(json.loads(content))

    def items(self, trial_id: str) -> dict[str, list[ItemResult]]:
        """How a trial answered, by task; empty where accuracy was not measured."""
        with self.database.read() as connection:
            found = connection.execute(select(schema.items).where(schema.items.c.trial_id == trial_id))
            return {r.task: unpack(r.results) for r in found}

    def texts(self, trial_id: str) -> list[Text]:
        """What a trial wrote after the fixed prompts, in their order; empty where that was not kept."""
        with self.database.read() as connection:
            found = connection.scalar(select(schema.texts.c.texts).where(schema.texts.c.trial_id == trial_id))
        return [] if found is None else texts.unpack(found)

    def profiles(self, trial_id: str) -> dict[str, Profile]:
        """The trial's profiles by name; empty where none was kept."""
        table = schema.profiles
        with self.database.read() as connection:
            found = connection.execute(select(table.c.name, table.c.content).where(table.c.trial_id == trial_id))
            return {row.name: json.loads(row.content) for row in found}

    def profile(self, trial_id: str, name: str) -> Profile | None:
        """The trial's profile of that name; None where it was not kept."""
        return self.profiles(trial_id).get(name)

    def kept(self, trial_id: str) -> Kept:
        """What is kept of a trial beside its row."""
        return Kept(self.texts(trial_id), self.profiles(trial_id))

    def detail(self, trial_id: str) -> Detail:
        """Why and where a trial failed, and its log; empty texts where it did not."""
        with self.database.read() as connection:
            reason = connection.scalar(select(trials.c.reason).where(trials.c.id == trial_id)) or ""
            found = connection.execute(select(schema.failures).where(schema.failures.c.trial_id == trial_id)).first()
        return Detail(reason, found.traceback, found.log) if found else Detail(reason, "", "")

    def sweeps(self) -> list[SweepRow]:
        """All sweeps with the states of their trials, the newest first."""
        with self.database.read() as connection:
            return read_sweeps(connection)


@dataclass(frozen=True)
class _Known:
    state: State
    asked: str
    measured: str
    stopped_at: int | None

    def lacking(self, wanted: Iterable[str], anytime: bool) -> tuple[str, ...]:
        """The measures without a result; in an anytime sweep, accuracy that was stopped early is one."""
        there = (*split(self.measured), "accuracy") if anytime and self.stopped_at is not None else split(self.measured)
        return tuple(m for m in wanted if m not in there)


@dataclass(frozen=True)
class _Wanted:
    trial: Trial
    measures: tuple[str, ...]


def _with_dense(asked: Sequence[Trial], measures: Collection[str]) -> dict[str, _Wanted]:
    """The trials by id with the measures asked of each, and before them the dense trials that paired measures need."""
    ordered = tuple(m for m in KNOWN_MEASURES if m in measures)
    given = {trial.id: _Wanted(trial, ordered) for trial in asked}
    denses = dict.fromkeys(trial.dense() for trial in asked if trial.recipe.steps) if set(ordered) & set(PAIRED) else ()
    beside = tuple(m for m in ordered if m in OF_DENSE)
    missing = {dense.id: _Wanted(dense, beside) for dense in denses}
    return {**{trial_id: want for trial_id, want in missing.items() if trial_id not in given}, **given}


def _read_known(connection: Connection, ids: Iterable[str]) -> dict[str, _Known]:
    query = select(trials.c.id, trials.c.state, trials.c.asked, trials.c.measured, trials.c.stopped_at)
    found = (r for part in batches(ids) for r in connection.execute(query.where(trials.c.id.in_(part))))
    return {r.id: _Known(r.state, r.asked, r.measured, r.stopped_at) for r in found}


def _take_positions(connection: Connection, count: int) -> int:
    """The first of `count` places at the end of the queue."""
    which = schema.meta.c.name == "position"
    connection.execute(update(schema.meta).where(which).values(value=schema.meta.c.value + count))
    return int(connection.scalar(select(schema.meta.c.value).where(which)) or 0) - count


def _new(trial_id: str, want: _Wanted, position: int, now: float, share: float | None) -> dict[str, object]:
    trial = want.trial
    content = trial.to_dict()
    return {
        "id": trial_id,
        "comparison_id": trial.comparison_id,
        "model": trial.model,
        "recipe": trial.recipe.text,
        "protocol": json.dumps(content["protocol"]),
        "content": json.dumps(content),
        "state": "queued",
        "position": position,
        "number": position,
        "asked": ",".join(want.measures),
        "created_at": now,
        "share": share if trial.recipe.steps else None,  # dense is what all the others are held against
    }


def _ask(
    connection: Connection, trial_id: str, want: _Wanted, known: _Known, position: int, share: float | None
) -> bool:
    """Add measures to those asked of a trial in the store; True where it now waits or runs for any of them.

    share: of its questions in an anytime sweep, which asks for no more of a trial that has answered some; None for all.
    """
    anytime = share is not None
    lacking = known.lacking(want.measures, anytime)
    ended = known.state in ("failed", "cancelled")  # what made it end so is asked again only if named again
    before = split(known.measured if ended else known.asked)
    asked = ",".join(m for m in KNOWN_MEASURES if m in before or m in want.measures)
    if "accuracy" in lacking and not anytime:
        connection.execute(update(trials).where(trials.c.id == trial_id).values(share=None, left_out_by=None))
        notes.replace(connection, trial_id, notes.LEFT_OUT, [])
    if known.state in ("queued", "running"):
        if asked != known.asked:
            connection.execute(update(trials).where(trials.c.id == trial_id).values(asked=asked))
        return bool(lacking)
    if not lacking:
        return False
    content = json.dumps(want.trial.to_dict())  # the same weights and data may lie in another folder by now
    again: dict[str, Any] = {"attempts": 0, "reason": "", "owner": None}
    move(connection, trial_id, "queued", position=position, asked=asked, content=content, **again)
    return True


def _withdraw(connection: Connection, ids: Iterable[str]) -> None:
    requests = schema.cancel_requests
    for part in batches(ids):
        connection.execute(delete(requests).where(requests.c.trial_id.in_(part)))


def _keep_sweep(
    connection: Connection,
    name: str,
    ids: Sequence[str],
    known: Iterable[str],
    now: float,
    tolerance: float | None,
) -> int:
    """The sweep of that name and these trials: the one that is there, if it was submitted before, or a new one."""
    inside = schema.sweep_trials
    rule = {"tolerance": tolerance, "settled": tolerance is None}
    for before in connection.scalars(select(schema.sweeps.c.id).where(schema.sweeps.c.name == name)).all():
        places = select(inside.c.trial_id).where(inside.c.sweep_id == before).order_by(inside.c.place)
        if list(connection.scalars(places)) == list(ids):
            connection.execute(update(schema.sweeps).where(schema.sweeps.c.id == before).values(**rule))
            return int(before)
    made = connection.execute(schema.sweeps.insert().values(name=name, created_at=now, **rule))
    assert made.inserted_primary_key is not None
    sweep_id = int(made.inserted_primary_key[0])
    rows = [{"sweep_id": sweep_id, "trial_id": trial_id, "place": place} for place, trial_id in enumerate(ids)]
    connection.execute(inside.insert(), rows)
    for part in batches(known):  # stamps them as changed: they now belong to this sweep too
        connection.execute(update(trials).where(trials.c.id.in_(part)).values(state=trials.c.state))
    return sweep_id
