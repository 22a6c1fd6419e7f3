"""A page for a room: what `markup` draws made large by stage.css, and the card of a decision."""

from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.meeting.decision import Decision
from pages.shared import markup

_STYLE = Path(__file__).parent / "stage.css"
_UNBROKEN_HYPHEN = "\u2011"


def room() -> DeltaGenerator:
    """What is drawn in here is large."""
    st.html(_STYLE)
    return st.container(key="stage")


def title(words: str) -> None:
    """A title in which a model's name stays on one line."""
    markup.title(words.replace("-", _UNBROKEN_HYPHEN))


def decision(said: Decision) -> None:
    """The card: what is recommended, and under it gain, cost and what breaks, side by side where there is room."""
    parts = (("Gain", said.gain), ("Cost", said.cost), ("What breaks", said.breaks))
    cells = "".join(f"<div><h3>{markup.shown(name)}</h3><p>{markup.shown(words)}</p></div>" for name, words in parts)
    lead = f'<h3>Recommendation</h3><p class="kp-recommended">{markup.shown(said.recommendation)}</p>'
    st.html(f'<section class="kp-decision">{lead}<div class="kp-answers">{cells}</div></section>')
