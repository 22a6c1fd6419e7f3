"""Answers that differ, one by one: those that the reader filters out by what changed and by task, a page at a time."""

from collections.abc import Callable, Sequence

import streamlit as st

from engine.analysis.flips import Flip
from engine.outcome.row import Row
from engine.tasks import Item, task_label
from pages.shared import answers, frame, markup, view
from pages.shared.answers import ALL, NAMES

SCORES = "Log-likelihoods in nats: 0.7 more is twice as likely. The likeliest is the answer here, whatever its length."
EACH = 10  # answers on one page of the list


def draw(every: Sequence[Flip], row: Row, page: str, card: Callable[[Flip, Item | None], str]) -> None:
    """The filters and the list; the page's view has the values changed and task.

    row: whose questions these are. card: one flip as HTML, with its question where that can be shown.
    """
    direction, task = _draw_filters(every, row, page)
    chosen = [flip for flip in every if direction in (ALL, flip.direction) and task in (ALL, flip.task)]
    if not chosen:
        markup.soft("None of these.")
        return
    pages = -(-len(chosen) // EACH)
    key = f"{page}:page:{row.trial_id}:{direction}:{task}:{len(chosen)}"
    number = st.pagination(pages, key=key) if pages > 1 else 1
    shown = chosen[(number - 1) * EACH : number * EACH]
    asked = {name: answers.questions(row, name) for name in dict.fromkeys(flip.task for flip in shown)}
    if missing := [found.missing for found in asked.values() if found.missing]:
        which = "The" if len(missing) == len(asked) else "Some"
        markup.soft(f"{which} questions can't be shown: {'; '.join(missing)}.")
    st.html("".join(card(flip, asked[flip.task].items.get(flip.id)) for flip in shown))
    markup.soft(SCORES)


def _draw_filters(every: Sequence[Flip], row: Row, page: str) -> tuple[str, str]:
    """Which direction and which task; each choice names how many there are."""
    directions: dict[str, int] = {ALL: len(every), **{name: sum(f.direction == name for f in every) for name in NAMES}}
    names = [str(name) for name in row.protocol.get("tasks") or ()]
    tasks = {ALL: len(every), **{name: sum(f.task == name for f in every) for name in names}}
    if st.session_state.get(view.key(page, "task")) not in tasks:
        st.session_state[view.key(page, "task")] = ALL
    with st.container(horizontal=True, vertical_alignment="bottom"):
        direction = st.segmented_control(
            "What changed", list(directions), key=view.key(page, "changed"), required=True,
            format_func=lambda name: f"{NAMES.get(name, 'All')} ({directions[name]:,})", wrap=frame.narrow() or None,
        )  # fmt: skip
        if len(names) < 2:
            return str(direction), ALL
        task = st.selectbox(
            "Task", list(tasks), key=view.key(page, "task"), width=260,
            format_func=lambda name: f"{'All tasks' if name == ALL else task_label(name)} ({tasks[name]:,})",
        )  # fmt: skip
    return str(direction), str(task)
