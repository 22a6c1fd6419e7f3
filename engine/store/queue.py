"""What whoever runs trials does with a store: claim, report, finish. Only here do states change once a trial is queued.

A runner is the worker, or a foreground `run` or `sweep`. It registers itself and is seen alive by a heartbeat, and on
its own machine by its process; the trials of one that is gone are queued again.
"""

import json
import math
import os
import socket
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from sqlalchemy import Connection, delete, func, select, update

from engine.outcome.kept import Profile
from engine.outcome.row import Progress
from engine.outcome.texts import Text
from engine.spec import KNOWN_MEASURES, Trial
from engine.store import notes, schema, texts
from engine.store.items import ItemResult, pack
from engine.store.rows import split
from engine.store.schema import trials
from engine.store.states import StateError, move
from engine.store.store import Store

SILENT_S = 60.0  # a runner of another machine that was not seen for so long is gone
REUSED_S = 1.0  # a process that began so long after a runner was last seen only has got its number
MOST_ATTEMPTS = 3  # a trial that took so many runners down with it fails


@dataclass(frozen=True)
class Job:
    """A claimed trial and the measures of it that are still missing; `share` of the questions, or None for all."""

    trial: Trial
    measures: tuple[str, ...]
    share: float | None = None

    @property
    def partial(self) -> bool:
        """Whether questions will be left when it is done."""
        return "accuracy" in self.measures and self.share is not None and self.share < 1

    def to_dict(self) -> dict[str, Any]:
        return {"trial": self.trial.to_dict(), "measures": list(self.measures), "share": self.share}


@dataclass(frozen=True)
class Undecided:
    """An anytime sweep whose trials have all ended or answered what was asked of them."""

    id: int
    tolerance: float


class Queue:
    """One runner's side of a store; use it as a context manager, so that the runner is signed off at the end.

    The reports (`progress` to `give_back`) raise StateError once this runner no longer owns the trial: another took
    it over because this one seemed gone, so its process must stop and its results are not kept.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store, self.clock = store, clock
        self.id = uuid.uuid4().hex
        now = clock()
        me = {"id": self.id, "host": socket.gethostname(), "pid": os.getpid(), "started_at": now, "seen_at": now}
        with store.database.write(seen=False) as connection:
            connection.execute(schema.workers.insert().values(**me))

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_: object) -> None:
        with self.store.database.write(seen=False) as connection:
            connection.execute(delete(schema.workers).where(schema.workers.c.id == self.id))

    def beat(self) -> None:
        """Say that this runner is alive."""
        with self.store.database.write(seen=False) as connection:
            mine = schema.workers.c.id == self.id
            connection.execute(update(schema.workers).where(mine).values(seen_at=self.clock()))

    def requeue_lost(self) -> list[str]:
        """Queue the trials of runners that are gone, keeping their places; those that took several down fail."""
        with self.store.database.read() as connection:
            lost = self._lost(connection)
        if not lost:
            return []
        with self.store.database.write() as connection:
            lost = self._lost(connection)
            for trial_id, attempts in lost:
                if attempts < MOST_ATTEMPTS:
                    move(connection, trial_id, "queued", owner=None)
                else:
                    reason = (
                        f"its worker was lost {attempts} times while it ran this trial; look at the machine's memory"
                    )
                    move(connection, trial_id, "failed", reason=reason, finished_at=self.clock())
                _forget(connection, trial_id)
            gone = schema.workers.c.id.in_(self._gone(connection))
            connection.execute(delete(schema.workers).where(gone))
        return [trial_id for trial_id, _ in lost]

    def claim(self, trial_ids: Collection[str] | None = None) -> Job | None:
        """Take the next queued trial, of the given ones where they are given; None where none waits."""
        waiting = select(trials).where(trials.c.state == "queued").order_by(trials.c.position, trials.c.created_at)
        cancelled = select(schema.cancel_requests.c.trial_id)
        waiting = waiting.where(trials.c.id.not_in(cancelled)).limit(1)
        if trial_ids is not None:
            waiting = waiting.where(trials.c.id.in_(trial_ids))
        with self.store.database.read() as connection:
            if connection.execute(waiting).first() is None:
                return None
        with self.store.database.write() as connection:
            found = connection.execute(waiting).first()
            if found is None:
                return None
            began = self.clock() - (_spent(found) if found.measured else 0.0)
            values = {"owner": self.id, "attempts": found.attempts + 1, "started_at": began, "finished_at": None}
            if not found.measured:  # what an earlier attempt noted is noted again where it still holds
                values["notes"] = "{}"
            move(connection, found.id, "running", **values)
            connection.execute(delete(schema.failures).where(schema.failures.c.trial_id == found.id))
        missing = _missing(found.asked, found.measured)
        return Job(Trial.from_dict(json.loads(found.content)), missing, found.share)

    def progress(self, trial_id: str, progress: Progress) -> None:
        """How far the trial has come; does not raise the revision."""
        table = schema.progress
        with self.store.database.write(seen=False) as connection:
            self._own(connection, trial_id)
            connection.execute(delete(table).where(table.c.trial_id == trial_id))
            at = {"stage": progress.stage, "done": progress.done, "total": progress.total}
            connection.execute(table.insert().values(trial_id=trial_id, seconds_left=progress.seconds_left, **at))

    def keep_metrics(self, trial_id: str, metrics: Mapping[str, float | None], reasons: Mapping[str, str]) -> None:
        """Add metrics to a trial's; one that is infinite or not a number is kept as None with that as its reason."""
        odd = {name: value for name, value in metrics.items() if value is not None and not math.isfinite(value)}
        why = {**{name: "not a number" if math.isnan(v) else "infinite" for name, v in odd.items()}, **reasons}
        with self.store.database.write() as connection:
            found = self._own(connection, trial_id)
            kept = {**json.loads(found.metrics), **metrics, **dict.fromkeys(odd)}
            left = {n: text for n, text in json.loads(found.reasons).items() if kept.get(n) is None}
            values = {"metrics": json.dumps(kept, allow_nan=False), "reasons": json.dumps({**left, **why})}
            connection.execute(update(trials).where(trials.c.id == trial_id).values(**values))

    def keep_items(self, trial_id: str, task: str, results: Sequence[ItemResult]) -> None:
        """Keep how the trial answered a task, in place of what was kept of that task."""
        table = schema.items
        with self.store.database.write() as connection:
            self._own(connection, trial_id)
            connection.execute(delete(table).where((table.c.trial_id == trial_id) & (table.c.task == task)))
            connection.execute(table.insert().values(trial_id=trial_id, task=task, results=pack(results)))

    def keep_texts(self, trial_id: str, written: Sequence[Text]) -> None:
        """Keep what the trial wrote after the fixed prompts, in place of what was kept."""
        table = schema.texts
        with self.store.database.write() as connection:
            self._own(connection, trial_id)
            connection.execute(delete(table).where(table.c.trial_id == trial_id))
            connection.execute(table.insert().values(trial_id=trial_id, texts=texts.pack(written)))

    def keep_profile(self, trial_id: str, name: str, content: Profile) -> None:
        """Keep a profile of the trial, in place of what was kept under that name."""
        table = schema.profiles
        with self.store.database.write() as connection:
            self._own(connection, trial_id)
            connection.execute(delete(table).where((table.c.trial_id == trial_id) & (table.c.name == name)))
            text = json.dumps(content, separators=(",", ":"), allow_nan=False)
            connection.execute(table.insert().values(trial_id=trial_id, name=name, content=text))

    def keep_facts(
        self,
        trial_id: str,
        note: str | None = None,
        simulated: bool | None = None,
        environment: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a note, say whether the result is simulated, or add to the description of the machine."""
        with self.store.database.write() as connection:
            found = self._own(connection, trial_id)
            values: dict[str, Any] = {} if simulated is None else {"simulated": simulated}
            if note is not None:
                notes.add(connection, trial_id, note)
            if environment is not None:
                values["environment"] = json.dumps({**json.loads(found.environment), **environment}, sort_keys=True)
            if values:
                connection.execute(update(trials).where(trials.c.id == trial_id).values(**values))

    def keep_notes(self, trial_id: str, measure: str, said: Sequence[str]) -> None:
        """Keep what a measure says of its results, in place of what it said when it was taken before."""
        with self.store.database.write() as connection:
            self._own(connection, trial_id)
            notes.replace(connection, trial_id, measure, said)

    def finish(self, job: Job) -> None:
        """The job's measures are complete; where more were asked meanwhile, the trial is queued for them."""
        complete = [m for m in job.measures if m != "accuracy" or not job.partial]
        with self.store.database.write() as connection:
            found = self._own(connection, job.trial.id)
            measured = ",".join(m for m in KNOWN_MEASURES if m in split(found.measured) or m in complete)
            values: dict[str, Any] = {"measured": measured, "finished_at": self.clock(), "reason": "", "attempts": 0}
            if "accuracy" in job.measures:
                values["stopped_at"] = int(json.loads(found.metrics)["questions"]) if job.partial else None
            move(connection, job.trial.id, "done", owned_by=self.id, **values)
            answered = ("accuracy",) if job.partial and found.share == job.share else ()
            if set(_missing(found.asked, measured)) - set(answered):
                move(connection, job.trial.id, "queued")
            _forget(connection, job.trial.id)

    def fail(self, job: Job, reason: str, traceback: str = "", log: str = "") -> None:
        """The trial failed; what it had measured before stays."""
        with self.store.database.write() as connection:
            values: dict[str, Any] = {"reason": reason, "finished_at": self.clock()}
            move(connection, job.trial.id, "failed", owned_by=self.id, **values)
            row = {"trial_id": job.trial.id, "traceback": traceback, "log": log}
            connection.execute(schema.failures.insert().values(**row))
            _forget(connection, job.trial.id)

    def undecided(self) -> list[Undecided]:
        """The anytime sweeps that wait for a decision on who goes on."""
        sweeps, inside = schema.sweeps, schema.sweep_trials
        busy = (
            select(inside.c.sweep_id)
            .join(trials, trials.c.id == inside.c.trial_id)
            .where(trials.c.state.in_(("queued", "running")))
        )
        query = select(sweeps.c.id, sweeps.c.tolerance).where(
            sweeps.c.settled.is_(False), sweeps.c.tolerance.is_not(None), sweeps.c.id.not_in(busy)
        )
        with self.store.database.read() as connection:
            return [Undecided(r.id, r.tolerance) for r in connection.execute(query)]

    def unsettled(self) -> set[str]:
        """The trials that an anytime sweep may still ask more of."""
        sweeps, inside = schema.sweeps, schema.sweep_trials
        query = (
            select(inside.c.trial_id)
            .join(sweeps, sweeps.c.id == inside.c.sweep_id)
            .join(trials, trials.c.id == inside.c.trial_id)
            .where(sweeps.c.settled.is_(False), sweeps.c.tolerance.is_not(None), trials.c.left_out_by.is_(None))
            .where(trials.c.state.in_(("queued", "running")) | trials.c.stopped_at.is_not(None))
        )
        with self.store.database.read() as connection:
            return set(connection.scalars(query))

    def go_on(self, trial_id: str, share: float) -> None:
        """Queue a trial that has answered some of its questions for more, up to `share` of them all."""
        with self.store.database.write() as connection:
            move(connection, trial_id, "queued", sources=("done",), share=share)

    def leave_out(self, trial_id: str, by: str, note: str) -> None:
        """Another trial leaves this one out of the front, as the note says, so it answers no more."""
        with self.store.database.write() as connection:
            connection.execute(update(trials).where(trials.c.id == trial_id).values(left_out_by=by))
            notes.replace(connection, trial_id, notes.LEFT_OUT, [note])

    def settle(self, sweep_id: int) -> None:
        """Nothing is left to be decided in an anytime sweep."""
        with self.store.database.write() as connection:
            connection.execute(update(schema.sweeps).where(schema.sweeps.c.id == sweep_id).values(settled=True))

    def cancel(self, job: Job) -> None:
        """The running trial was stopped because someone asked."""
        with self.store.database.write() as connection:
            self._own(connection, job.trial.id)
            self._cancel(connection, job.trial.id)

    def give_back(self, job: Job) -> None:
        """The runner stops: the trial waits again, at its old place, and this attempt does not count."""
        with self.store.database.write() as connection:
            found = self._own(connection, job.trial.id)
            until = self.clock() if found.measured else None  # so that what it took counts when it goes on
            values = {"attempts": max(0, found.attempts - 1), "finished_at": until}
            move(connection, job.trial.id, "queued", owned_by=self.id, **values)
            _forget(connection, job.trial.id)

    def cancel_asked(self, trial_id: str) -> bool:
        """Whether someone asked to cancel the trial."""
        table = schema.cancel_requests
        with self.store.database.read() as connection:
            return connection.scalar(select(func.count()).where(table.c.trial_id == trial_id)) != 0

    def honour_cancels(self) -> list[str]:
        """Cancel the queued trials for which that was asked; requests for trials that ended meanwhile are dropped."""
        asked = trials.c.id.in_(select(schema.cancel_requests.c.trial_id))
        query = select(trials.c.id, trials.c.state).where(asked, trials.c.state != "running")
        with self.store.database.read() as connection:
            if connection.execute(query).first() is None:
                return []
        with self.store.database.write() as connection:
            found = connection.execute(query).all()
            waiting = [r.id for r in found if r.state == "queued"]
            for trial_id in waiting:
                self._cancel(connection, trial_id)
            for r in found:
                _drop_request(connection, r.id)
        return waiting

    def _cancel(self, connection: Connection, trial_id: str) -> None:
        """A trial that was done before it was asked for more is done again; any other becomes cancelled."""
        measured = connection.scalar(select(trials.c.measured).where(trials.c.id == trial_id)) or ""
        if measured:
            move(connection, trial_id, "done", asked=measured, owner=None)
        else:
            move(connection, trial_id, "cancelled", owner=None, finished_at=self.clock())
        _forget(connection, trial_id)

    def _own(self, connection: Connection, trial_id: str) -> Any:
        """The trial's row, which this runner must be running; raises StateError otherwise."""
        found = connection.execute(select(trials).where(trials.c.id == trial_id)).first()
        if found is None or found.state != "running" or found.owner != self.id:
            raise StateError(f"trial {trial_id} is no longer this worker's: another took it over")
        return found

    def _lost(self, connection: Connection) -> list[tuple[str, int]]:
        gone = self._gone(connection)
        known = set(connection.scalars(select(schema.workers.c.id)))
        running = select(trials.c.id, trials.c.attempts, trials.c.owner).where(trials.c.state == "running")
        return [(r.id, r.attempts) for r in connection.execute(running) if r.owner in gone or r.owner not in known]

    def _gone(self, connection: Connection) -> list[str]:
        here, now = socket.gethostname(), self.clock()
        runners = connection.execute(select(schema.workers).where(schema.workers.c.id != self.id))
        return [r.id for r in runners if (not _alive(r) if r.host == here else now - r.seen_at > SILENT_S)]


def _alive(runner: Any) -> bool:
    """Whether the process of a runner of this machine is there, however long it has been silent."""
    try:
        process = psutil.Process(runner.pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= runner.seen_at + REUSED_S
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _spent(trial: Any) -> float:
    """Seconds that a trial took until it was done, which is to be measured further."""
    return max(0.0, trial.finished_at - trial.started_at) if trial.started_at and trial.finished_at else 0.0


def _missing(asked: str, measured: str) -> tuple[str, ...]:
    return tuple(m for m in split(asked) if m not in split(measured))


def _forget(connection: Connection, trial_id: str) -> None:
    """Drop what belongs to a run that has ended: its progress and a request to cancel it."""
    connection.execute(delete(schema.progress).where(schema.progress.c.trial_id == trial_id))
    _drop_request(connection, trial_id)


def _drop_request(connection: Connection, trial_id: str) -> None:
    table = schema.cancel_requests
    connection.execute(delete(table).where(table.c.trial_id == trial_id))
