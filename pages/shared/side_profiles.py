"""Profiles of results side by side: read once each, and where some are missing, why, and the button that has them made.

A profile is a result with more than one number, such as an error for every block (`engine.outcome.kept`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from engine.analysis.compare import letters
from engine.analysis.front import is_dense
from engine.outcome.kept import Profile
from engine.outcome.row import Row
from pages.shared import markup, progress, stored

T = TypeVar("T")


def read(rows: Sequence[Row], name: str, from_dict: Callable[[Profile], T]) -> dict[str, tuple[Row, T]]:
    """By letter, the results that have the profile, each with it; one that can't be read counts as missing."""
    found = {}
    for letter, row in zip(letters(rows), rows, strict=True):
        try:
            found[letter] = (row, from_dict(stored.kept(row).profiles[name]))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def draw_missing(rows: Sequence[Row], found: Mapping[str, Any], measure: str, what: str, cost: str) -> None:
    """Why results lack the profile of a measure, one sentence a reason, and the button that has it measured.

    The original lacks nothing: it is what the others are held against.
    what: is measured, in words, of several; cost: what that takes.
    """
    named = zip(letters(rows), rows, strict=True)
    lacking = {letter: row for letter, row in named if letter not in found and not is_dense(row)}
    reasons: dict[str, list[str]] = {}
    for letter, row in lacking.items():
        reasons.setdefault(_why(row, measure), []).append(letter)
    for reason, names in reasons.items():
        if reason:
            markup.soft(f"{' and '.join(names)}: {reason}.")
    able = {letter: row for letter, row in lacking.items() if not _why(row, measure)}
    if able:
        markup.text(f"{what} have not been measured for {' and '.join(able)}. {cost}")
        ask = partial(stored.measure, [row.trial_id for row in able.values()], measure)
        st.button(f"Measure {' and '.join(able)}", key=f"compare:measure:{measure}", on_click=ask)
    progress.wait_for(lacking.values(), f"compare:waiting:{measure}")


def _why(row: Row, measure: str) -> str:
    """Why the result has no profile of the measure; empty where it can be asked for."""
    if row.state in ("queued", "running"):
        return "waits for the worker, or runs"
    if row.recorded:
        return "recorded without it; measure it here to see it"
    if measure in row.measures:
        return "simulated, so it has no time of its own" if row.simulated else "what was measured of it can't be read"
    return "" if stored.measurable(row) else "measured by an earlier version; measure it again from New sweep"
