"""An open page says so where results have come in since it was drawn, and offers to draw them: one look-out for all."""

from contextlib import suppress

import streamlit as st

from engine.errors import InputError
from pages.shared import stored

LOOK_S = 10.0
_KEY = "stale"


def watch() -> None:
    """Look every LOOK_S, from here on, for trials that end; what is wrong with a store, pages say."""
    with suppress(InputError):
        st.fragment(_look, run_every=LOOK_S)(stored.last_ended())


def _look(drawn: float) -> None:
    """Only this small part of the page runs again; the reader decides when the page does."""
    with suppress(InputError):
        if stored.last_ended() > drawn:
            _say()


def _say() -> None:
    with st.container(key=_KEY, horizontal=True, vertical_alignment="center"):
        st.html('<p class="kp-soft" role="status">New results since this page was drawn</p>', width="content")
        if st.button("Show them", key=f"{_KEY}:show"):
            st.rerun()
