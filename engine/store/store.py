"""What pages and the command line do with a store: submit, cancel, retry, and read.

Submitting inserts queued rows (`engine.store.submission`) and cancelling inserts a request; every other change of a
state is the worker's (`engine.store.queue`).
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import select, update

from engine.errors import InputError
from engine.outcome.kept import Kept, Profile
from engine.outcome.row import Progress, Row, State
from engine.outcome.texts import Text
from engine.spec import MEASURES, Trial
from engine.store import schema, submission, texts
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
)
from engine.store.schema import trials
from engine.store.states import move
from engine.store.submission import Submitted


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

    @property
    def read_only(self) -> bool:
        """Whether it was opened only to be read, as its file or folder can't be written."""
        return self.database.read_only

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
        questions, and what more it answers is decided as results come in (`engine.running.stages`). Raises InputError
        where such a sweep lacks a measure that it decides by.
        """
        wanted = submission.with_dense(asked, measures, anytime=tolerance is not None)
        now = self.clock()
        with self.database.write() as connection:
            return submission.submit(connection, wanted, now, sweep_name if kept else None, tolerance)

    def missing(
        self, asked: Sequence[Trial], measures: Collection[str] = MEASURES, anytime: bool = False
    ) -> dict[str, tuple[str, ...]]:
        """What `submit`, with a tolerance if `anytime`, would have to run: by trial id, what has no result."""
        wanted = submission.with_dense(asked, measures)
        with self.database.read() as connection:
            return submission.missing(connection, wanted, anytime)

    def retry(self, trial_id: str) -> None:
        """Queue a failed or cancelled trial again, at the end; raises StateError where it is neither."""
        with self.database.write() as connection:
            position = submission.take_positions(connection, 1)
            again: dict[str, Any] = {"reason": "", "attempts": 0, "owner": None}
            move(connection, trial_id, "queued", sources=("failed", "cancelled"), position=position, **again)
            submission.withdraw(connection, [trial_id])
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
