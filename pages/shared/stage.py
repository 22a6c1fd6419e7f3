"""Large HTML for a room: the question, the decision, figures and a table. Every text given here is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import streamlit as st

from engine.decision import Decision
from pages.shared.markup import Figure

_STYLE = Path(__file__).parent / "stage.css"


def dress() -> None:
    """Put the large style on the page."""
    st.html(_STYLE)


def title(words: str) -> None:
    unbroken = escape(words).replace("-", "&#8209;")  # a model's name stays on one line
    st.html(f'<h1 class="kp-stage-title">{unbroken}</h1>')


def head(words: str) -> None:
    st.html(f'<h2 class="kp-stage-head">{escape(words)}</h2>')


def text(words: str) -> None:
    st.html(f'<p class="kp-stage-text">{escape(words)}</p>')


def decision(said: Decision) -> None:
    """The card: what is recommended, and under it gain, cost and what breaks, side by side where there is room."""
    parts = (("Gain", said.gain), ("Cost", said.cost), ("What breaks", said.breaks))
    cells = "".join(f"<div><h3>{escape(name)}</h3><p>{escape(words)}</p></div>" for name, words in parts)
    lead = f'<h3>Recommendation</h3><p class="kp-stage-lead">{escape(said.recommendation)}</p>'
    st.html(f'<section class="kp-stage-card">{lead}<div class="kp-stage-answers">{cells}</div></section>')


def figures(items: Iterable[Figure]) -> None:
    """Large numbers side by side."""
    cells = "".join(
        f'<div title="{escape(f.definition)}"><span>{escape(f.label)}</span><b>{escape(f.value)}</b>'
        f"<small>{escape(f.under)}</small></div>"
        for f in items
    )
    st.html(f'<div class="kp-stage-figures">{cells}</div>')


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> None:
    """A table whose first `texts` columns are texts and the others numbers."""
    kind = ["" if column < texts else "kp-num" for column in range(len(heads))]
    top = "".join(f'<th class="{k}">{escape(h)}</th>' for h, k in zip(heads, kind, strict=True))
    body = "".join(
        "<tr>" + "".join(f'<td class="{k}">{escape(c)}</td>' for c, k in zip(row, kind, strict=True)) + "</tr>"
        for row in rows
    )
    inner = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    st.html(f'<div class="kp-scroll"><table class="kp-stage-table">{inner}</table></div>')
