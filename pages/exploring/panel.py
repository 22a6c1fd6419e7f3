"""Beside the front: the chosen result, or where quality breaks while none is chosen."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from engine import words
from engine.front import Front, guesses
from pages.shared import markup, stored, tray
from pages.shared.card import draw_card
from pages.shared.stored import Group


def draw(groups: Sequence[Group], front: Front, trial: str, choose: Callable[[str], None]) -> None:
    """The chosen point of one of the groups, or the front's knee in words while none is."""
    group, row = next(((g, row) for g in groups for row in g.rows if row.trial_id == trial), (None, None))
    with st.container(border=True, key="explore-panel"):
        if group is not None and row is not None:
            left_out = front.left_out.get(
                trial, "" if trial in {p.trial_id for p in front.points} else "a filter hides it"
            )
            draw_card(row, stored.dense_of(group.rows), trial in front.best_ids, left_out, partial(choose, ""))
            tray.draw(row)
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
        tray.draw()
