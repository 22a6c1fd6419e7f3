"""Runs: what is measured now, how far it is, what failed and why, and the front filling in."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from engine import paths, worker
from engine.analysis import words
from engine.analysis.front import telling_quality, telling_score
from engine.outcome import sensitivity
from engine.outcome.row import Row
from engine.store import SweepRow
from engine.store.lock import holder
from pages.shared import chart, failures, frame, markup, stored, take_along, view
from pages.shared.progress import STATES, draw_running, draw_sweep, outcome, time_left, took
from pages.shared.view import Value

PAGE = "runs"
POLL_S = 1.0
REST_S = 5.0  # between looks for a sweep that somebody else submits, while nothing runs


def main() -> None:
    markup.title("Runs")
    revision = stored.store().revision()
    sweeps = {str(sweep.id): sweep for sweep in stored.sweeps()}
    going = any(one.going for one in sweeps.values())
    if not going:
        st.fragment(draw_again, run_every=REST_S, key="runs:rest")(revision)
    if not sweeps:
        draw_empty()
        return
    newest = next((key for key, sweep in sweeps.items() if sweep.going), next(iter(sweeps)))
    values = {"sweep": Value(newest, allowed=tuple(sweeps))}
    view.restore(PAGE, values)
    if view.unread(PAGE, "sweep", values["sweep"]):
        st.info("The sweep that the link names is not on this machine: another is shown.")
    chosen = st.selectbox(
        "Sweep", list(sweeps), key=view.key(PAGE, "sweep"), format_func=lambda key: name_of(sweeps[key])
    )
    view.keep(PAGE, values)
    sweep = sweeps[chosen]
    rows = [row for row in stored.my_rows() if sweep.id in row.sweep_ids]
    poll = POLL_S if going else None
    st.fragment(draw_live, run_every=poll, key="runs:live")(sweep.id, revision, time_left(rows, stored.timed_rows()))
    failures.draw(rows, "they are in the table below.")
    draw_front(rows, sweep.going)
    draw_trials(rows)


def draw_empty() -> None:
    markup.lead("Nothing has been measured here yet. Choose a model and what to do with it; its progress shows here.")
    if st.button("New sweep", type="primary", key="runs:new_sweep"):
        st.switch_page("pages/new_sweep.py")


def name_of(sweep: SweepRow) -> str:
    state = f"{sweep.unfinished:,} of {sweep.total:,} to go" if sweep.unfinished else f"{sweep.total:,} trials, ended"
    return f"{sweep.id}. {sweep.name or 'Sweep'}: {sweep.model}, {state}"


def draw_again(revision: int) -> None:
    """Draw the whole page again where more than progress has changed since this revision."""
    if stored.store().revision() != revision:
        st.rerun()


def draw_live(sweep_id: int, revision: int, left: str) -> None:
    """What changes every second."""
    draw_again(revision)
    store = stored.store()
    sweep = next(one for one in stored.sweeps() if one.id == sweep_id)
    rows = stored.my_rows()
    mine = [row for row in rows if sweep_id in row.sweep_ids]
    progress, stopping = store.progress(), store.cancelling()
    draw_sweep(sweep, left)
    running = [row for row in rows if row.state == "running"]
    here = [row for row in running if sweep_id in row.sweep_ids]
    for trial in draw_running(here, progress, stopping):
        stored.cancel([trial])
        st.rerun(scope="fragment")
    if sweep.unfinished and not here and running:
        markup.soft(f"Waiting behind another sweep: {running[0].label}.")
    draw_worker(sweep)
    with st.container(horizontal=True):
        waiting = {row.trial_id for row in mine if row.state in ("queued", "running")}
        if sweep.going and st.button(
            "Stopping" if waiting and waiting <= stopping else "Cancel the sweep",
            key="runs:cancel",
            disabled=bool(waiting) and waiting <= stopping,
        ):
            stored.cancel(sweep_id=sweep_id)
            st.rerun(scope="fragment")
        failed = [row.trial_id for row in mine if row.state in ("failed", "cancelled")]
        if failed and st.button(f"Retry {len(failed):,} failed or cancelled", key="runs:retry_all"):
            stored.retry(failed)
            st.rerun()


def draw_worker(sweep: SweepRow) -> None:
    """Say so where trials wait and nobody runs them."""
    if sweep.going and not stored.store().read_only and holder(paths.store_url()) is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            markup.soft("No worker is running; what was in hand runs again once one is.")
            if st.button("Start the worker", key="runs:worker"):
                worker.ensure_running(paths.store_url())


def draw_front(rows: Sequence[Row], going: bool) -> None:
    if all(row.measures == (sensitivity.NAME,) for row in rows):  # which gives no point of a front
        query = {"tab": "By layer"}
        st.page_link("pages/new_sweep.py", label="By layer", icon=":material/arrow_forward:", query_params=query)
        return
    done = [row for row in rows if row.state == "done"]
    if not done:
        markup.soft("The front appears here once the first trial has ended.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        markup.head("The front so far" if going else "The front")
        query = {"of": f"mine-{rows[0].comparison_id}"}
        st.page_link("pages/explore.py", label="Open in Explore", icon=":material/arrow_forward:", query_params=query)
    quality, comparison = telling_quality(rows), rows[0].comparison_id
    chart.draw_front(rows, "weight_bytes", quality, key="runs:front", comparison=comparison)
    take_along.csv_button(rows, stored.front_of(rows, "weight_bytes", quality, comparison), "runs:csv")


def draw_trials(rows: Sequence[Row]) -> None:
    """Every trial of the sweep; rows that are chosen can be cancelled or retried."""
    markup.head("Trials")
    score = telling_score(stored.dense_of(rows))
    names = words.distinct_labels(rows) if frame.narrow() else {row.trial_id: row.label for row in rows}
    table = pd.DataFrame(
        {
            "Trial": [names[row.trial_id] for row in rows],
            "State": [STATES[row.state] for row in rows],
            "Weights": [scaled(row, "weight_bytes", 1e-6) for row in rows],
            "Accuracy": [scaled(row, score, 100) for row in rows],
            "Took": [took(row) for row in rows],
            "Note": [outcome(row) for row in rows],
        }
    )
    if not any(table["Note"]):
        table = table.drop(columns="Note")
    event = st.dataframe(
        table, key="runs:table", hide_index=True, on_select="rerun", selection_mode="multi-row",
        column_config=columns(), height=min(38 + 35 * len(rows), 420), placeholder="–",
    )  # fmt: skip
    chosen = [rows[i] for i in event.selection.rows if i < len(rows)]
    open_ids = [row.trial_id for row in chosen if row.state in ("queued", "running")]
    again = [row.trial_id for row in chosen if row.state in ("failed", "cancelled")]
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(chosen) == 1:
            st.page_link("pages/result.py", label="All details", query_params={"trial": chosen[0].trial_id})
        if open_ids:
            st.button(f"Cancel {len(open_ids)}", key="runs:cancel_chosen", on_click=partial(stored.cancel, open_ids))
        if again:
            st.button(f"Retry {len(again)}", key="runs:retry_chosen", on_click=partial(stored.retry, again))
        if not chosen:
            markup.soft("Choose rows to cancel, retry or read them.")


def columns() -> dict[str, Any]:
    """How the table's columns are written; on a phone narrow, so that what came of a trial shows beside its name."""
    numbers = {"Weights": "%.1f MB", "Accuracy": "%.1f%%", "Took": "%.1f min"}
    config = {name: st.column_config.NumberColumn(format=format, width=86) for name, format in numbers.items()}
    texts: dict[str, Any] = {"Trial": 130 if frame.narrow() else None, "State": 84, "Note": "large"}
    return {**config, **{name: st.column_config.TextColumn(width=width) for name, width in texts.items()}}


def scaled(row: Row, name: str, scale: float) -> float | None:
    value = row.value(name)
    return None if value is None else value * scale


frame.guard()
main()
