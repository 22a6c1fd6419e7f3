"""The answers that changed, one by one: what was asked, what the original chose and what is chosen now."""

from collections.abc import Mapping

import streamlit as st

from engine.analysis.flips import Flip
from engine.outcome.row import Row
from engine.quantities import by_chance
from engine.tasks import Item
from pages.shared import answer_list, answers, markup, stored, view
from pages.shared.answers import ALL, NAMES, Side, signed
from pages.shared.view import Value

PAGE = "result"


def draw_flips(row: Row, dense: Row | None) -> None:
    """The section of a finished result's answers that changed; nothing where none were compared."""
    if row.recipe == "dense" or row.value("accuracy") is None:
        return
    markup.head("Answers that changed")
    if row.recorded and not stored.items(row):
        markup.text("Recorded without single answers. Measure it here to see which ones changed.")
    elif dense is None or row.value("flips") is None:
        markup.text(f"Not known: {row.reasons.get('flips', 'the original has not been measured')}.")
    else:
        markup.text(summary(row))
        values = _values(row)
        view.restore(PAGE, values)
        st.fragment(_draw_list)(row, dense, values)


def summary(row: Row) -> str:
    """How many answers flipped to either side, and how often chance does that."""
    wrong, right, asked = (row.value(name) or 0.0 for name in ("flips_to_wrong", "flips_to_right", "questions"))
    p = row.value("mcnemar_p")
    counts = f"Of {asked:,.0f} questions {wrong:,.0f} went from right to wrong and {right:,.0f} from wrong to right."
    if p is None or not wrong + right:
        return counts
    return (
        f"{counts} Were both equally good, chance would be this one-sided {by_chance(p)} of the time (McNemar's test)."
    )


def _values(row: Row) -> dict[str, Value]:
    tasks = [str(task) for task in row.protocol.get("tasks") or ()]
    return {
        "trial": Value(""),
        "from": Value(""),
        "changed": Value(ALL, allowed=(ALL, *NAMES)),
        "task": Value(ALL, allowed=(ALL, *tasks)),
    }


def _draw_list(row: Row, dense: Row, values: Mapping[str, Value]) -> None:
    every = answers.differing(row, dense)
    if not every:
        markup.soft("No answer changed.")
        return
    answer_list.draw(every, row, PAGE, _card)
    view.keep(PAGE, values)


def _card(flip: Flip, item: Item | None) -> str:
    return answers.card(flip, item, (Side("Original", flip.dense), Side("Now", flip.compressed)), by_how_much(flip))


def by_how_much(flip: Flip) -> str:
    """How firmly both models made their choice, in words."""
    before, now = flip.dense_margin, flip.compressed_margin
    if before is not None and now is not None:
        return f"The original preferred its answer by {before:.2f}; now the other leads by {now:.2f}."
    words = (flip.dense.loglikelihoods[:1], flip.compressed.loglikelihoods[:1])
    if flip.compressed.choice is None and flip.dense.choice is None and all(words):
        return f"The right word's log-likelihood was {signed(words[0][0])} and is {signed(words[1][0])} now."
    return "One of the log-likelihoods was not a number."
