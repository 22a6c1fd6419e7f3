"""The trials that failed: what, why, and the button that runs one's own again."""

from collections.abc import Sequence

import streamlit as st

from engine.outcome.row import Row
from pages.shared import markup, stored

SHOWN = 10


def draw(rows: Sequence[Row], others: str) -> None:
    """Those of the rows that failed; others: where more than are shown have their reasons."""
    failed = [row for row in rows if row.state == "failed"]
    for row in failed[:SHOWN]:
        with st.container(border=True, key=f"failed:{row.trial_id}"):
            markup.head(f"Failed: {row.label}")
            markup.text(f"{row.reason[:1].upper()}{row.reason[1:].removesuffix('.')}.")
            with st.container(horizontal=True, vertical_alignment="center"):
                if not row.recorded and st.button("Retry", key=f"retry:{row.trial_id}"):
                    stored.retry([row.trial_id])
                    st.rerun()
                name = "All details" if row.recorded else "Traceback and log"
                st.page_link("pages/result.py", label=name, query_params=stored.address(row))
    if len(failed) > SHOWN:
        markup.soft(f"{len(failed) - SHOWN:,} more failed; {others}")
