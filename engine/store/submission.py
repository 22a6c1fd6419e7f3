"""What a submission changes in a store: which trials wait, for which measures, in which order, and of which sweep.

Trials are found by their id, so a question already answered is never asked again, and measures accumulate: asking a
finished trial for more queues only what it lacks.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from engine.errors import InputError
from engine.outcome.row import State
from engine.spec import KNOWN_MEASURES, Trial
from engine.store import notes, schema
from engine.store.rows import batches, split
from engine.store.schema import trials
from engine.store.states import move

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


@dataclass(frozen=True)
class Wanted:
    """A trial and the measures asked of it, in their order."""

    trial: Trial
    measures: tuple[str, ...]


def with_dense(asked: Sequence[Trial], measures: Collection[str], anytime: bool = False) -> dict[str, Wanted]:
    """The trials by id with the measures asked of each, and before them the dense trials that paired measures need.

    Raises InputError where an anytime sweep lacks a measure that it is decided by.
    """
    if anytime and (lacking := [name for name in DECIDED_BY if name not in measures]):
        raise InputError(f"a sweep with a tolerance is decided by size and accuracy; measure {lacking[0]} too")
    ordered = tuple(m for m in KNOWN_MEASURES if m in measures)
    given = {trial.id: Wanted(trial, ordered) for trial in asked}
    denses = dict.fromkeys(trial.dense() for trial in asked if trial.recipe.steps) if set(ordered) & set(PAIRED) else ()
    beside = tuple(m for m in ordered if m in OF_DENSE)
    added = {dense.id: Wanted(dense, beside) for dense in denses}
    return {**{trial_id: want for trial_id, want in added.items() if trial_id not in given}, **given}


def submit(
    connection: Connection, wanted: Mapping[str, Wanted], now: float, sweep_name: str | None, tolerance: float | None
) -> Submitted:
    """Queue what the store lacks, in this order, as one sweep.

    sweep_name: None for trials that no sweep is kept of; then `sweep_id` is 0.
    tolerance: of an anytime sweep, whose trials answer a first share of their questions before it is decided which go
    on; None for one that asks all of them.
    """
    share = None if tolerance is None else FIRST_SHARE
    known = _read_known(connection, wanted)
    position = take_positions(connection, len(wanted))
    queued: set[str] = set()
    new: list[dict[str, object]] = []
    for place, (trial_id, want) in enumerate(wanted.items(), position):
        if trial_id not in known:
            new.append(_new(trial_id, want, place, now, share))
        elif _ask(connection, trial_id, want, known[trial_id], place, share):
            queued.add(trial_id)
    if new:
        connection.execute(trials.insert(), new)
    withdraw(connection, known)
    sweep_id = 0 if sweep_name is None else _keep_sweep(connection, sweep_name, list(wanted), known, now, tolerance)
    queued |= wanted.keys() - known.keys()
    return Submitted(sweep_id, tuple(i for i in wanted if i in queued), tuple(i for i in wanted if i not in queued))


def missing(connection: Connection, wanted: Mapping[str, Wanted], anytime: bool) -> dict[str, tuple[str, ...]]:
    """What `submit` would have to run: by trial id, what has no result."""
    known = _read_known(connection, wanted)
    lacking = {
        i: known[i].lacking(want.measures, anytime) if i in known else want.measures for i, want in wanted.items()
    }
    return {trial_id: more for trial_id, more in lacking.items() if more}


def take_positions(connection: Connection, count: int) -> int:
    """The first of `count` places at the end of the queue."""
    which = schema.meta.c.name == "position"
    connection.execute(update(schema.meta).where(which).values(value=schema.meta.c.value + count))
    return int(connection.scalar(select(schema.meta.c.value).where(which)) or 0) - count


def withdraw(connection: Connection, ids: Iterable[str]) -> None:
    """Drop what requests there are to cancel these trials."""
    requests = schema.cancel_requests
    for part in batches(ids):
        connection.execute(delete(requests).where(requests.c.trial_id.in_(part)))


@dataclass(frozen=True)
class _Known:
    """What a store has of a trial: what was asked of it, and what of that has a result."""

    state: State
    asked: str
    measured: str
    stopped_at: int | None

    def lacking(self, wanted: Iterable[str], anytime: bool) -> tuple[str, ...]:
        """The measures without a result; in an anytime sweep, accuracy that was stopped early is one."""
        there = (*split(self.measured), "accuracy") if anytime and self.stopped_at is not None else split(self.measured)
        return tuple(m for m in wanted if m not in there)


def _read_known(connection: Connection, ids: Iterable[str]) -> dict[str, _Known]:
    query = select(trials.c.id, trials.c.state, trials.c.asked, trials.c.measured, trials.c.stopped_at)
    found = (r for part in batches(ids) for r in connection.execute(query.where(trials.c.id.in_(part))))
    return {r.id: _Known(r.state, r.asked, r.measured, r.stopped_at) for r in found}


def _new(trial_id: str, want: Wanted, position: int, now: float, share: float | None) -> dict[str, object]:
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
    connection: Connection, trial_id: str, want: Wanted, known: _Known, position: int, share: float | None
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
