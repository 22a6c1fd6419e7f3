"""Beside the front: the chosen result, or where quality breaks while none is chosen; and what stands below both."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import streamlit as st

from engine.analysis import words
from engine.analysis.front import Front, guesses
from engine.outcome.row import Row
from pages.shared import markup, stored, tray
from pages.shared.card import draw_card, draw_rest
from pages.shared.stored import Group


class Chosen(NamedTuple):
    """A result that was chosen, and the original of its group."""

    row: Row
    dense: Row | None


def find(groups: Sequence[Group], trial: str) -> Chosen | None:
    """The chosen point of one of the groups."""
    found = ((group, row) for group in groups for row in group.rows if row.trial_id == trial)
    return next((Chosen(row, stored.dense_of(group.rows)) for group, row in found), None)


def draw(chosen: Chosen | None, front: Front, trial: str, choose: Callable[[str], None]) -> None:
    """The chosen point in brief, or the front's knee in words while none is; as high as the chart beside it."""
    with st.container(border=True, key="explore-panel", height="stretch"):
        if chosen is not None:
            shown = trial in {p.trial_id for p in front.points}
            left_out = front.left_out.get(trial, "" if shown else "a filter hides it")
            draw_card(chosen.row, chosen.dense, trial in front.best_ids, left_out, partial(choose, ""))
            tray.draw_button(chosen.row)
            return
        if trial:
            markup.text("The chosen result is not among these: another model, other questions, or not on this machine.")
        markup.head("Where it breaks")
        markup.text(words.knee(front) or words.NO_KNEE)
        if front.knee is not None:
            markup.text(f"{front.knee.row.label}: {words.answer(front.knee.row, front.dense)}")
            st.button("Look at the knee", key="explore:knee", on_click=partial(choose, front.knee.row.trial_id))
        if guesses(front.dense):
            markup.soft(words.guessing(front.dense))
        markup.soft(
            "Click a point, or choose a row of the table (its keys: arrows, then Shift and Space), to read what it is."
        )


def draw_below(chosen: Chosen | None) -> None:
    """What needs the page's width: the tray, and the rest of the chosen point."""
    tray.draw_held()
    if chosen is not None and chosen.row.state == "done":
        draw_rest(chosen.row, chosen.dense)
