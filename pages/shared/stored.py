"""The results that pages draw, each read once: the user's own, those of saved sweeps, and the recorded ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal

import streamlit as st

from engine import paths, worker
from engine.analysis import words
from engine.analysis.front import Comparison, Front, comparisons, find_front, telling_quality
from engine.analysis.results import analyse
from engine.errors import InputError
from engine.outcome.kept import Kept
from engine.outcome.row import Row, State
from engine.recorded import Entry, entries
from engine.spec import Protocol, Recipe, Trial
from engine.store import ItemResult, StateError, Store, StoreError, SweepRow, shelf
from engine.trials import make_trial
from pages.shared import markup

TIMED = 200  # finished trials that times are estimated from
FRONT = 4  # results that make one
DENSE = Recipe()
SAVED = "Saved sweep, read-only"
Origin = Literal["recorded", "mine", "saved"]


@dataclass(frozen=True)
class Group:
    """Results that may be drawn on one front, of one model under one protocol: the user's own, recorded ones, or those
    of a saved sweep, whose rows are flagged as recorded too.
    """

    origin: Origin
    comparison: Comparison
    rows: tuple[Row, ...]  # of this comparison, failed ones too
    sweep: str = ""  # the id of a saved sweep

    @property
    def key(self) -> str:
        """What the address names the group by."""
        return "-".join(part for part in (self.origin, self.sweep, self.comparison.id) if part)

    @property
    def chip(self) -> str:
        """Where the results come from, in words."""
        where = words.measured_on(self.rows)
        if self.origin == "saved":
            return f"{SAVED}: measured on {where}" if where else SAVED
        return f"Recorded on {where}" if self.origin == "recorded" else "Measured here"


def store() -> Store:
    """The store of this machine; where it can't be opened, says why and ends the page."""
    try:
        return _open(paths.store_url())
    except InputError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        st.stop()


def last_ended() -> float:
    """When the last of the user's own results came in, 0 without any; raises InputError where the store can't open."""
    opened = _open(paths.store_url())
    return _last_ended(opened.url, opened.revision())


def resume() -> None:
    """Start the worker where trials wait, once in a server's life. What is wrong with a store, pages say."""
    with suppress(InputError, OSError):
        _resume(paths.store_url())


def say_read_only() -> None:
    """Say so where the store can only be read; that it can't be opened at all, pages say."""
    with suppress(InputError):
        if (opened := _open(paths.store_url())).read_only:
            where = markup.plain(str(opened.database.name))
            fix = "make it and its folder writable, and start the dashboard anew"
            st.info(f"Nothing can be queued: the store {where} can only be read; {fix}.", icon=":material/lock:")


def cancel(trial_ids: Iterable[str] = (), sweep_id: int | None = None) -> None:
    """Ask the worker to stop trials, or all of a sweep; where that can't be written, says why and ends the page."""
    try:
        store().request_cancel(trial_ids, sweep_id)
    except StoreError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        st.stop()


def retry(trial_ids: Iterable[str]) -> None:
    """Queue trials again and see that a worker runs; one that another page retried meanwhile is left alone."""
    with queueing() as opened:
        for trial_id in trial_ids:
            with suppress(StateError):
                opened.retry(trial_id)


@contextmanager
def queueing() -> Iterator[Store]:
    """The store to queue trials in, and then a worker that runs; what goes wrong is said, and the page ends."""
    opened = store()
    try:
        yield opened
        worker.ensure_running(paths.store_url())
    except (StoreError, OSError) as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        st.stop()


def read_ahead() -> None:
    """Read the results, and find the front that most pages begin with, before one asks. What is wrong, pages say."""
    with suppress(InputError):
        _open(paths.store_url())
        if found := compared_groups():
            group = found[first_of(found)]
            quality = telling_quality(group.rows, group.comparison.id)
            front_of(group.rows, "weight_bytes", quality, group.comparison.id)


def my_rows() -> tuple[Row, ...]:
    """The user's own trials, with what can be derived from them, in the order they were submitted."""
    opened = store()
    return _analysed(opened.url, opened.revision())


def sweeps() -> tuple[SweepRow, ...]:
    """All sweeps with the states of their trials, the newest first."""
    opened = store()
    return _sweeps(opened.url, opened.revision())


def timed_rows() -> list[Row]:
    """The trials that say how fast this machine is: the latest, and the dense ones, which know a model's size."""
    done = sorted((row for row in my_rows() if row.state == "done"), key=lambda row: row.finished_at or 0.0)
    return [*(row for row in done[:-TIMED] if row.recipe == "dense"), *done[-TIMED:]]


def recorded_rows() -> tuple[Row, ...]:
    """The results that ship with the package; without them where their files are broken, which is said."""
    try:
        return tuple(entry.row for entry in _recorded().values())
    except InputError as error:
        st.warning(markup.plain(str(error)), icon=":material/warning:")
        return ()


def groups() -> tuple[Group, ...]:
    """Every group with a finished trial: the user's own first, those with most results first, then saved sweeps."""
    opened = store()
    mine = _grouped("mine", my_rows(), opened.url, opened.revision())
    saved = (replace(g, sweep=name) for name in shelf.names() for g in _grouped("saved", _saved(name), name, 0))
    return (*mine, *saved, *_grouped("recorded", recorded_rows(), "", 0))


def compared_groups() -> dict[str, Group]:
    """The groups whose original was measured too, by key."""
    return {group.key: group for group in groups() if dense_of(group.rows)}


def first_of(found: Mapping[str, Group]) -> str:
    """The results to begin with: the user's own once they make a front, before that the recorded ones."""
    own = (group for group in found.values() if group.origin == "mine" and group.comparison.trials >= FRONT)
    recorded = (group for group in found.values() if group.origin == "recorded")
    return next((group.key for group in (*own, *recorded)), next(iter(found)))


def find(trial_id: str, origin: Origin | None = None) -> Row | None:
    """The trial of an id: the user's own unless the recorded or saved one is asked for or the only one."""
    mine = next((row for row in my_rows() if row.trial_id == trial_id), None)
    elsewhere = (row for rows in (recorded_rows(), *map(_saved, shelf.names())) for row in rows)
    shipped = next((row for row in elsewhere if row.trial_id == trial_id), None)
    return shipped or mine if origin == "recorded" else mine or shipped


def kept(row: Row) -> Kept:
    """What is kept beside a result's row; of a recorded one what was recorded, which may be little."""
    url = _url_of(row)
    return _kept(url, row.trial_id, row.state, row.finished_at) if url else _recorded()[row.trial_id].kept


def items(row: Row) -> Mapping[str, Sequence[ItemResult]]:
    """How a result answered, by task; of a recorded one nothing where that was not recorded."""
    url = _url_of(row)
    return _items(url, row.trial_id, row.state, row.finished_at) if url else _recorded_items(row.trial_id)


def trial(row: Row) -> Trial:
    """The question behind a result, with where its data lies; raises InputError where that is not known here.

    Of a recorded one it is made anew, and is the same question only if all that its id covers is the same here.
    """
    if url := _url_of(row):
        return _open(url).trial(row.trial_id)
    made = make_trial(row.model, DENSE, Protocol.from_dict(row.protocol))
    if made.comparison_id != row.comparison_id:
        raise InputError("the model or the questions on this machine are not those that were recorded")
    return made


def measure(trial_ids: Iterable[str], measure: str) -> None:
    """Ask for one more measure of the user's own results and see that a worker runs."""
    with queueing() as opened:
        opened.submit([opened.trial(trial_id) for trial_id in trial_ids], [measure], kept=False)


def measurable(row: Row) -> bool:
    """Whether more can be asked of this very result: it was measured here, by methods that are still the same."""
    return not row.recorded and store().trial(row.trial_id).id == row.trial_id


def address(row: Row) -> dict[str, str]:
    """What a link to the Result page carries to find this very row."""
    return {"trial": row.trial_id, **({"from": "recorded"} if row.recorded else {})}


def group_of(row: Row) -> Group | None:
    """The group that a result is compared within."""
    same = (g for g in groups() if g.comparison.id == row.comparison_id and (g.origin == "mine") != row.recorded)
    return next((g for g in same if g.origin == "mine" or row in g.rows), None)


def dense_of(rows: Sequence[Row]) -> Row | None:
    """The original model's result among rows of one comparison."""
    return next((row for row in rows if row.recipe == "dense" and row.state == "done"), None)


def front_of(rows: Sequence[Row], x: str, y: str, comparison: str | None) -> Front:
    """`find_front`, once for the same rows and axes."""
    return _front(rows, stamp(rows), x, y, comparison)


def stamp(rows: Sequence[Row]) -> int:
    """What caches are keyed by that depend on rows: which rows, and how much is known of each."""
    return hash(tuple((row.trial_id, row.recorded, row.state, row.finished_at, len(row.metrics)) for row in rows))


@st.cache_resource(show_spinner=False, max_entries=16)
def _front(_rows: Sequence[Row], key: int, x: str, y: str, comparison: str | None) -> Front:
    return find_front(_rows, x, y, comparison)


@st.cache_resource(show_spinner=False)
def _open(url: str) -> Store:
    return Store(url, to_read=True)


@st.cache_resource(show_spinner=False)
def _resume(url: str) -> None:
    opened = _open(url)
    if not opened.read_only and any(sweep.unfinished for sweep in _sweeps(url, opened.revision())):
        worker.ensure_running(url)


@st.cache_resource(show_spinner=False, max_entries=3)
def _sweeps(url: str, revision: int) -> tuple[SweepRow, ...]:
    return tuple(_open(url).sweeps())


@st.cache_resource(show_spinner=False, max_entries=3)
def _last_ended(url: str, revision: int) -> float:
    return max((row.finished_at or 0.0 for row in _open(url).rows(states=("done", "failed"))), default=0.0)


@st.cache_resource(show_spinner=False, max_entries=3)
def _analysed(url: str, revision: int) -> tuple[Row, ...]:
    opened = _open(url)
    return tuple(analyse(opened.rows(), opened.items))


@st.cache_resource(show_spinner=False, max_entries=8)
def _saved(name: str) -> tuple[Row, ...]:
    opened = _open(shelf.url(name))
    return tuple(replace(row, recorded=True) for row in analyse(opened.rows(), opened.items))


@st.cache_resource(show_spinner=False)
def _recorded() -> dict[str, Entry]:
    return entries()


def _url_of(row: Row) -> str:
    """The store that holds a result: the user's own or a saved sweep's; empty where it ships with the package."""
    if not row.recorded:
        return paths.store_url()
    entry = _recorded().get(row.trial_id)
    if entry is not None and entry.row.finished_at == row.finished_at:
        return ""
    return next(shelf.url(name) for name in shelf.names() if row in _saved(name))


@st.cache_resource(show_spinner=False, max_entries=8)
def _items(url: str, trial: str, state: State, finished: float | None) -> Mapping[str, Sequence[ItemResult]]:
    return _open(url).items(trial)


@st.cache_resource(show_spinner=False, max_entries=8)
def _recorded_items(trial: str) -> Mapping[str, Sequence[ItemResult]]:
    return _recorded()[trial].items


@st.cache_resource(show_spinner=False, max_entries=32)
def _kept(url: str, trial: str, state: State, finished: float | None) -> Kept:
    return _open(url).kept(trial)


@st.cache_resource(show_spinner=False, max_entries=12)
def _grouped(origin: Origin, _rows: Sequence[Row], url: str, revision: int) -> tuple[Group, ...]:
    members: dict[str, list[Row]] = {}
    for row in _rows:
        members.setdefault(row.comparison_id, []).append(row)
    return tuple(Group(origin, c, tuple(members[c.id])) for c in comparisons(_rows))
