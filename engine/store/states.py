"""The states of a trial and the only moves between them.

queued -> running -> done | failed | cancelled; failed and cancelled -> queued on retry; running -> queued when a worker
is lost or stops. Beyond these: a queued trial that is cancelled never runs; a done one is queued again when measures
are asked that it lacks, keeps its results meanwhile, and is done again when that question is withdrawn.
"""

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import Connection, select, update

from engine.outcome.row import State
from engine.store.schema import trials

STATES: tuple[State, ...] = get_args(State)

MOVES: dict[State, tuple[State, ...]] = {
    "queued": ("running", "cancelled", "done"),
    "running": ("done", "failed", "cancelled", "queued"),
    "done": ("queued",),
    "failed": ("queued",),
    "cancelled": ("queued",),
}


class StateError(RuntimeError):
    """A trial can't go from the state it is in to the one asked for, or another worker owns it."""


def move(
    connection: Connection,
    trial_id: str,
    to: State,
    *,
    owned_by: str | None = None,
    sources: Sequence[State] = STATES,
    **values: Any,
) -> None:
    """Bring a trial to a state, writing `values` with it; with `owned_by`, only if that worker runs the trial.
    sources: the states it may come from, where fewer than the moves allow.

    One UPDATE that names the states it may come from, so that of two writers only one succeeds. Raises StateError for
    every other state, another owner or an unknown trial.
    """
    allowed = [state for state in sources if to in MOVES[state]]
    which = (trials.c.id == trial_id) & trials.c.state.in_(allowed)
    if owned_by is not None:
        which &= (trials.c.state == "running") & (trials.c.owner == owned_by)
    if connection.execute(update(trials).where(which).values(state=to, **values)).rowcount:
        return
    found = connection.execute(select(trials.c.state, trials.c.owner).where(trials.c.id == trial_id)).first()
    if found is None:
        raise StateError(f"there is no trial {trial_id!r}")
    whose = f" of worker {found.owner}" if owned_by is not None and found.owner != owned_by else ""
    raise StateError(f"trial {trial_id} is {found.state}{whose} and can't become {to}")
