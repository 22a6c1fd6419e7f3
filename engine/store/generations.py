"""Prompts that results answer side by side: asked by pages, answered by the store's one lane (`engine.running.lane`).

The lane holds a lock of its own, so nothing here names an owner: what is unfinished when a lane starts is its to go on
with. Nothing here raises the store's revision, which is for trials. Only the newest KEPT prompts are kept.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, delete, func, select, update

from engine.errors import InputError
from engine.outcome.texts import MOST_TOKENS
from engine.spec import Trial
from engine.store.schema import completions, generations
from engine.store.store import Store

CompletionState = Literal["waiting", "compressing", "loading", "writing", "done", "failed", "stopped"]
STATES: tuple[CompletionState, ...] = get_args(CompletionState)
ENDED = ("done", "failed", "stopped")
KEPT = 50
LONGEST_PROMPT = 2000  # characters


@dataclass(frozen=True)
class Completion:
    """What one model has written so far.

    pieces: what each token adds to the text; done and total: units of the state's work, where they are known;
    decode_s: seconds for all tokens after the first, waiting left out; ended: by an end-of-text token.
    """

    place: int
    trial: Trial
    state: CompletionState
    attempts: int
    paused: bool
    done: int
    total: int
    pieces: tuple[str, ...]
    decode_s: float
    ended: bool
    note: str
    reason: str

    @property
    def unfinished(self) -> bool:
        return self.state not in ENDED

    @property
    def tokens_per_s(self) -> float | None:
        """After the first token, as decoding is timed; None for fewer than two tokens."""
        after = len(self.pieces) - 1
        return after / self.decode_s if after > 0 and self.decode_s > 0 else None


@dataclass(frozen=True)
class Generation:
    """One prompt with its completions, in the order of the names they were asked under."""

    id: int
    names: tuple[str, ...]
    prompt: str
    chat: bool
    most_tokens: int
    stop_asked: bool
    created_at: float
    finished_at: float | None
    completions: tuple[Completion, ...]

    @property
    def unfinished(self) -> bool:
        return self.finished_at is None


class Generations:
    """The prompts of a store; raises StoreError, one sentence, where the database can't be used."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.database, self.clock = store.database, clock

    def ask(self, names: Sequence[str], trials: Sequence[Trial], prompt: str, chat: bool, most_tokens: int) -> int:
        """Ask each of the trials' models to continue a prompt; the generation's id.

        names: what the page calls the results, one a trial; chat: in the model's chat template, where it has one.
        Raises InputError for a prompt that is empty or too long, and for a number of tokens out of range.
        """
        assert len(names) == len(trials)
        _check(prompt, most_tokens)
        asked = {"names": ",".join(names), "prompt": prompt, "chat": chat, "most_tokens": most_tokens}
        with self.database.write(seen=False) as connection:
            made = connection.execute(generations.insert().values(**asked, created_at=self.clock()))
            assert made.inserted_primary_key is not None
            generation_id = int(made.inserted_primary_key[0])
            rows = [
                {"generation_id": generation_id, "place": place, "content": json.dumps(trial.to_dict())}
                for place, trial in enumerate(trials)
            ]
            connection.execute(completions.insert(), rows)
            _drop_old(connection)
        return generation_id

    def newest(self, names: Sequence[str]) -> Generation | None:
        """The last prompt that was put to exactly these results, None where there was none."""
        asked = generations.c.names == ",".join(names)
        last = select(generations).where(asked).order_by(generations.c.id.desc()).limit(1)
        with self.database.read() as connection:
            found = connection.execute(last).first()
            return _generation(connection, found) if found else None

    def read(self, generation_id: int) -> Generation | None:
        """A prompt by its id, None where it is kept no longer."""
        with self.database.read() as connection:
            found = connection.execute(select(generations).where(generations.c.id == generation_id)).first()
            return _generation(connection, found) if found else None

    def ahead(self, generation_id: int) -> int:
        """How many prompts the lane answers before this one."""
        before = generations.c.finished_at.is_(None) & (generations.c.id < generation_id)
        with self.database.read() as connection:
            return int(connection.scalar(select(func.count()).where(before)) or 0)

    def ask_to_stop(self, generation_id: int) -> None:
        """What was written stays."""
        with self.database.write(seen=False) as connection:
            which = generations.c.id == generation_id
            connection.execute(update(generations).where(which).values(stop_asked=True))

    def next(self) -> Generation | None:
        """For the lane: the oldest prompt that is unfinished."""
        unfinished = select(generations).where(generations.c.finished_at.is_(None)).order_by(generations.c.id)
        with self.database.read() as connection:
            found = connection.execute(unfinished.limit(1)).first()
            return _generation(connection, found) if found else None

    def stop_asked(self, generation_id: int) -> bool:
        """Whether to stop: because someone asked, or because the prompt is kept no longer."""
        query = select(generations.c.stop_asked).where(generations.c.id == generation_id)
        with self.database.read() as connection:
            return connection.scalar(query) in (True, None)

    def write(self, generation_id: int, place: int, **values: Any) -> None:
        """Write columns of a completion; `pieces` as a sequence of texts."""
        if "pieces" in values:
            values["pieces"] = json.dumps(list(values["pieces"]))
        which = (completions.c.generation_id == generation_id) & (completions.c.place == place)
        with self.database.write(seen=False) as connection:
            connection.execute(update(completions).where(which).values(**values))

    def finish(self, generation_id: int) -> None:
        """The prompt is answered as far as it will be; completions that were not are stopped."""
        unended = (completions.c.generation_id == generation_id) & completions.c.state.not_in(ENDED)
        with self.database.write(seen=False) as connection:
            connection.execute(update(completions).where(unended).values(state="stopped", paused=False))
            which = generations.c.id == generation_id
            connection.execute(update(generations).where(which).values(finished_at=self.clock()))


def _check(prompt: str, most_tokens: int) -> None:
    if not prompt.strip():
        raise InputError("write a prompt for the models to answer first")
    if len(prompt) > LONGEST_PROMPT:
        raise InputError(f"the prompt may have {LONGEST_PROMPT:,} characters, got {len(prompt):,}")
    if not 1 <= most_tokens <= MOST_TOKENS:
        raise InputError(f"the number of tokens must be in [1, {MOST_TOKENS}], got {most_tokens}")


def _generation(connection: Connection, found: Any) -> Generation:
    mine = completions.c.generation_id == found.id
    rows = connection.execute(select(completions).where(mine).order_by(completions.c.place))
    columns = ("id", "prompt", "chat", "most_tokens", "stop_asked", "created_at", "finished_at")
    values = {name: getattr(found, name) for name in columns}
    return Generation(names=tuple(found.names.split(",")), completions=tuple(_completion(r) for r in rows), **values)


def _completion(r: Any) -> Completion:
    read: dict[str, Any] = {"trial": Trial.from_dict(json.loads(r.content)), "pieces": tuple(json.loads(r.pieces))}
    columns = (c.name for c in completions.c if c.name not in ("generation_id", "content", "pieces"))
    return Completion(**read, **{name: getattr(r, name) for name in columns})


def _drop_old(connection: Connection) -> None:
    kept = select(generations.c.id).order_by(generations.c.id.desc()).limit(KEPT)
    oldest = min(connection.scalars(kept), default=0)
    connection.execute(delete(completions).where(completions.c.generation_id < oldest))
    connection.execute(delete(generations).where(generations.c.id < oldest))
