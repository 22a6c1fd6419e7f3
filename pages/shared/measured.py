"""Under a picture: the measured result of the same setting, or the nearest one, and the way to measure it oneself."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from engine import quantities
from engine.analysis import words
from engine.analysis.front import FLATTERED_NOTE, flattered
from engine.errors import InputError
from engine.outcome.row import Row
from engine.spec import DEFAULT_MODEL, Recipe, Settings, parse
from pages.shared import markup, stored
from pages.shared.markup import Figure
from pages.shared.result_words import quality_figure, size_figure, speed_figure
from pages.shared.stored import Group

ARROW = ":material/arrow_forward:"
Distance = Callable[[Settings], tuple[float, ...] | None]  # of one step from what is shown; None for another kind
Figures = Callable[[Row, Row | None], list[Figure]]


@dataclass(frozen=True)
class Found:
    """A measured result, the group that it is compared within, and whether it is of the very setting shown."""

    row: Row
    group: Group
    exact: bool


def recipe(text: str) -> Recipe | None:
    """The recipe of a text, None where the engine has no such method."""
    try:
        return parse(text)
    except InputError:
        return None


def results(model: str) -> list[tuple[Row, Settings, Group]]:
    """Every finished result of one step on a model, with that step: the user's own first, then the recorded ones."""
    return [
        (row, steps[0], group)
        for group in stored.groups()
        if group.comparison.model == model
        for row in group.rows
        if row.state == "done" and len(steps := parse(row.recipe).steps) == 1
    ]


def nearest(model: str, wanted: Recipe | None, distance: Distance) -> Found | None:
    """The result of the setting that is wanted, else the nearest one; None where there is none of its kind."""
    candidates = [(away, row, group) for row, step, group in results(model) if (away := distance(step)) is not None]
    if not candidates:
        return None
    _, row, group = min(candidates, key=lambda one: one[0])
    return Found(row, group, wanted is not None and parse(row.recipe) == wanted)


def draw(model: str, wanted: Recipe | None, found: Found | None, figures: Figures | None = None) -> None:
    """The result in a sentence and three numbers, labelled as measured, and "Try it" where the engine can.

    figures: the numbers, from the result and its original; size, quality and speed unless given.
    """
    with st.container(border=True):
        if found is None:
            markup.head("Measured")
            markup.soft("No result of this kind has been measured yet.")
        else:
            _draw_result(found, figures or _usual)
        _draw_links(model, wanted, found)


def _draw_result(found: Found, figures: Figures) -> None:
    row, dense = found.row, stored.dense_of(found.group.rows)
    markup.head(f"Measured: {row.label}{words.marks(row)}")
    setting = "This setting" if found.exact else "The nearest setting that was measured"
    markup.chips([(setting, row.recipe), (found.group.chip, "")])
    sentences = [words.answer(row, dense), words.why_not_smaller(row, dense), FLATTERED_NOTE if flattered(row) else ""]
    markup.text(" ".join(sentence for sentence in sentences if sentence))
    markup.figures(figures(row, dense))


def _usual(row: Row, dense: Row | None) -> list[Figure]:
    return [size_figure(row, dense), quality_figure(row, dense), _speed_figure(row)]


def _speed_figure(row: Row) -> Figure:
    """The speed; of zeros that dense kernels multiply it is their point, so it is shown where it was measured."""
    ratio = row.value("decode_speedup")
    if not row.simulated or ratio is None:
        return speed_figure(row)
    shown = quantities.format_value("decode_speedup", ratio)
    return Figure("Words per second", shown, "of the original's: every zero is multiplied", words.simulated(row))


def _draw_links(model: str, wanted: Recipe | None, found: Found | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if wanted is not None:
            query = {"recipe": wanted.text, **({} if model == DEFAULT_MODEL else {"model": model})}
            st.page_link("pages/new_sweep.py", label=f"Try it: {wanted.describe()}", query_params=query, icon=ARROW)
        if found is not None:
            st.page_link("pages/result.py", label="All details", query_params=stored.address(found.row))
