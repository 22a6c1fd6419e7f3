"""The progress panel: what runs now, how far it is, and what is left of a sweep."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import streamlit as st

from engine.outcome.row import Progress, Row, State
from engine.running import estimates
from engine.spec import Protocol, Trial, parse
from engine.store import SweepRow
from pages.shared import markup, stored

POLL_S = 2.0
STAGES = {
    "load": "Loading the model",
    "compress": "Compressing",
    "size": "Counting bytes",
    "layers: dense": "Reading text, as the original",
    "layers": "Comparing layer by layer",
    "perplexity": "Reading text",
    "dense continuations": "Writing on, as the original",
    "greedy continuations": "Writing on",
    "accuracy": "Answering questions",
    "memory": "Measuring peak memory",
    "latency": "Timing",
    "change one layer at a time": "Changing one layer at a time",
    "write": "Writing the files",
}
STATES: dict[State, str] = {
    "queued": "waiting",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}


def time_left(rows: Sequence[Row], timed: Sequence[Row]) -> str:
    """How long the unfinished ones of `rows` will take together, in words; empty where all have ended.

    timed: finished trials that say how fast this machine is.
    """
    waiting = [row for row in rows if row.state in ("queued", "running")]
    asked = {_question(row): row.measures for row in waiting}
    if not asked:
        return ""
    return estimates.estimate(list(asked), {trial.id: more for trial, more in asked.items()}, timed).time


def wait_for(rows: Iterable[Row], key: str) -> None:
    """Draw the page again once one of the rows that wait or run changes its state; meanwhile a link to Runs."""
    waiting = {row.trial_id: row.state for row in rows if row.state in ("queued", "running")}
    if waiting:
        st.fragment(_poll, run_every=POLL_S, key=key)(waiting)
        st.page_link("pages/runs.py", label="See it in Runs")


def _poll(known: Mapping[str, str]) -> None:
    now = {trial_id: row.state for trial_id in known if (row := stored.find(trial_id))}
    if now != known:
        st.rerun()


def draw_sweep(sweep: SweepRow, left: str) -> None:
    """One line of counts and a bar; `left` is the time left in words."""
    counts = [f"{sweep.counts[state]:,} {name}" for state, name in STATES.items() if sweep.counts.get(state)]
    ended = sweep.total - sweep.unfinished
    text = f"{ended:,} of {sweep.total:,} trials ended" + (f" · {left} left" if left else "")
    st.progress(ended / sweep.total if sweep.total else 0.0, text=text)
    markup.soft(" · ".join(counts))
    if sweep.tolerance is not None:
        markup.soft(anytime(sweep))


def anytime(sweep: SweepRow) -> str:
    """What a sweep whose trials stop early does, and whether it still does."""
    points = f"{100 * sweep.tolerance:g} {'point' if sweep.tolerance == 0.01 else 'points'}" if sweep.tolerance else ""
    rule = f"up to {points} of accuracy decide nothing" if points else "the smallest difference counts"
    said = f"Trials stop early here: {rule}, and what can't change the front is left out."
    return f"{said} What needs more questions is being decided." if sweep.going and not sweep.unfinished else said


def draw_running(rows: Sequence[Row], progress: dict[str, Progress], stopping: Collection[str]) -> list[str]:
    """A card for each running trial; the ids of those whose Cancel was pressed."""
    pressed = []
    for row in rows:
        now = progress.get(row.trial_id, row.progress)
        with st.container(border=True, key=f"running:{row.trial_id}"):
            markup.head(row.label)
            st.progress(now.share, text="Stopping" if row.trial_id in stopping else describe(now))
            label = "Cancel this trial"
            if st.button(label, key=f"cancel:{row.trial_id}", disabled=row.trial_id in stopping):
                pressed.append(row.trial_id)
    return pressed


def describe(progress: Progress) -> str:
    """How far a trial has come, in words: "Answering questions: 112 of 600, about 2 min left"."""
    stage = STAGES.get(progress.stage, progress.stage.capitalize() or "Starting")
    count = f": {progress.done:,} of {progress.total:,}" if progress.total else ""
    left = f", {duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    return f"{stage}{count}{left}"


def duration(seconds: float) -> str:
    """A length of time as people say it: "under 10 s", "about 40 s", "about 12 min", "about 2.5 h"."""
    if seconds < 10:
        return "under 10 s"
    if seconds < 90:
        return f"about {10 * round(seconds / 10)} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"


def outcome(row: Row) -> str:
    """What came of a trial, in a few words for a table."""
    if row.state in ("failed", "cancelled"):
        return row.reason
    if row.stopped_at is not None:
        return (
            f"left out after {row.stopped_at:,} questions"
            if row.left_out_by
            else f"{row.stopped_at:,} questions so far"
        )
    return "" if row.state == "done" or not row.metrics else "some measures are there already"


def took(row: Row) -> float | None:
    """Minutes a trial took, None while it has not ended."""
    if row.state != "done" or row.started_at is None or row.finished_at is None:
        return None
    return (row.finished_at - row.started_at) / 60


def _question(row: Row) -> Trial:
    """A trial that costs what the row's does; its id is not the row's."""
    return Trial(row.model, None, row.comparison_id, parse(row.recipe), Protocol.from_dict(row.protocol), ())
