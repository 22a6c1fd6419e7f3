"""The answers that differ between results side by side: how many, and the questions with every result's choice."""

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.analysis.compare import Against, letters, same, why_unpaired
from engine.analysis.flips import Flip
from engine.outcome.row import Row
from engine.quantities import NOTHING, by_chance
from engine.store import ItemResult
from pages.shared import answer_list, answers, markup, stored, view
from pages.shared.answers import ALL, NAMES, Side

CHANGES = (ALL, *NAMES)


def draw(rows: Sequence[Row], pairs: Sequence[Against], base: Row, base_name: str, page: str) -> None:
    """The section; the page's view has the values which, changed and task."""
    paired = {letter: pair for letter, pair in zip(letters(rows), pairs, strict=True) if pair.paired}
    if not paired:
        return
    markup.head("Answers that differ")
    heads = ("", "Questions", f"Unlike {base_name}", "Right to wrong", "Wrong to right", "By chance")
    markup.table(heads, [counts(letter, pair, base_name) for letter, pair in paired.items()])
    if base.recorded and not stored.items(base):
        markup.soft("Recorded without single answers. Measure them here to see which ones changed.")
        return
    letter = _draw_which(list(paired), base_name, page)
    pair = paired[letter]
    every = answers.differing(pair.row, base)
    if not every:
        markup.soft(f"{letter} answers every question as {base_name} does.")
        return
    given = {name: answers.answers(column) for name, column in _columns(rows, base, base_name).items()}
    answer_list.draw(every, pair.row, page, lambda flip, item: answers.card(flip, item, _sides(flip, given)))


def counts(letter: str, pair: Against, base_name: str) -> list[str | tuple[str, str]]:
    """A result's flips in numbers, and how often chance alone would be as one-sided."""
    asked, unlike = pair.row.value("questions"), pair.metrics.get("flips")
    changed = None if asked is None or unlike is None else round(unlike * asked)
    flipped = [pair.metrics.get(f"flips_to_{end}") for end in ("wrong", "right")]
    numbers = [NOTHING if n is None else f"{n:,.0f}" for n in (asked, changed, *flipped)]
    why = (
        f"How often flips would be at least this one-sided by chance, were {letter} and {base_name} equally good: "
        "McNemar's exact test."
    )
    return [letter, *numbers, (by_chance(pair.metrics.get("mcnemar_p")), why)]


def _draw_which(names: Sequence[str], base_name: str, page: str) -> str:
    key = view.key(page, "which")
    if st.session_state.get(key) not in names:
        st.session_state[key] = names[0]
    if len(names) == 1:
        return names[0]
    return str(
        st.segmented_control(
            "Questions that these answer differently", names, key=key, required=True,
            format_func=lambda name: f"{name} and {base_name}",
        )
    )  # fmt: skip


def _columns(rows: Sequence[Row], base: Row, base_name: str) -> dict[str, Row]:
    """What the columns are called: every result that was asked the same questions, and a base not among them."""
    named = dict(zip(letters(rows), rows, strict=True))
    if not any(same(row, base) for row in rows):
        named = {base_name.removeprefix("the ").capitalize(): base, **named}
    return {name: row for name, row in named.items() if not why_unpaired(row, base)}


def _sides(flip: Flip, given: Mapping[str, Mapping[tuple[str, int], ItemResult]]) -> list[Side]:
    return [Side(name, found.get((flip.task, flip.id))) for name, found in given.items()]
