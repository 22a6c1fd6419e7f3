"""One result in brief: what was done, what it gains and costs, and where to read more."""

from collections.abc import Callable

import streamlit as st

from engine.analysis import words
from engine.analysis.front import own_value, telling_score
from engine.analysis.results import verdict
from engine.analysis.why import unrewarded
from engine.metrics import ABOVE_CHANCE
from engine.outcome.row import Row
from pages.shared import markup, stored
from pages.shared.result_words import line, marks, settling

_OTHERS = ("perplexity", "decode_ms_per_token", "peak_memory_bytes")


def draw_card(row: Row, dense: Row | None, on_front: bool, left_out: str, on_close: Callable[[], None]) -> None:
    """The side panel of a clicked point; `left_out` says why it is not drawn, empty where it is."""
    markup.head(row.label)
    if row.state == "failed":
        markup.chips([("Failed", row.reason)])
        markup.text(row.reason)
    else:
        markup.chips(marks(row, dense, None if left_out else on_front))
        said = (words.size(row, dense), words.quality(row, dense), "" if unrewarded(row) else words.speed(row))
        for sentence in said:
            if sentence:
                markup.text(sentence)
        if asked := unrewarded(row):
            st.page_link("pages/result.py", label=markup.plain(f"{asked} Why?"), query_params=stored.address(row))
        if left_out:
            markup.soft(f"Not on these axes: {left_out}.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            "pages/result.py", label="All details", icon=":material/arrow_forward:", query_params=stored.address(row)
        )
        st.button("Close", key="card:close", on_click=on_close, type="tertiary")


def draw_rest(row: Row, dense: Row | None) -> None:
    """What a clicked point comes to in numbers, with remarks: too much to stand beside a chart."""
    score = telling_score(dense or row)
    numbers = (score, f"{score}_change", f"{score}_retention", ABOVE_CHANCE[score], *_OTHERS)
    remarks = " ".join(filter(None, (unsettled(row, dense), why(row, dense))))
    with st.container(border=True, key="card-rest"):
        markup.facts(line(row, dense, name)[:2] for name in numbers if own_value(row, name) is not None)
        if remarks:
            markup.soft(remarks)


def unsettled(row: Row, dense: Row | None) -> str:
    """How many questions would tell a result from the original, where those that were asked can't but could."""
    found = verdict(row, telling_score(dense))
    if found is None or found.standing != "not distinguishable":
        return ""
    return settling(found)


def why(row: Row, dense: Row | None) -> str:
    """Why it is not smaller, unless that has been said as the reason it has no speed."""
    text = words.why_not_smaller(row, dense)
    return "" if text == words.speed(row) else text
