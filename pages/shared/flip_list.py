"""The answers that changed, one by one: what was asked, what the original chose and what is chosen now."""

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.flips import Flip
from engine.row import Row
from engine.tasks import Item
from pages.shared import answers, markup, view
from pages.shared.answers import ALL, NAMES, SCORES, Side, signed, task_label
from pages.shared.view import Value

PAGE = "result"
EACH = 10  # answers on one page of the list


def draw_flips(row: Row, dense: Row | None) -> None:
    """The section of a finished result's answers that changed; nothing where none were compared."""
    if row.recipe == "dense" or row.value("accuracy") is None:
        return
    markup.head("Answers that changed")
    if row.recorded:
        markup.text("Recorded results keep no single answers. Measure it here to see which ones changed.")
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
    often = "less than 0.1%" if p < 0.001 else f"{100 * p:.{1 if p < 0.1 else 0}f}%"
    return f"{counts} Were both equally good, chance would be this one-sided {often} of the time (McNemar's test)."


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
    direction, task = _draw_filters(every, values)
    view.keep(PAGE, values)
    chosen = [f for f in every if direction in (ALL, f.direction) and task in (ALL, f.task)]
    if not chosen:
        markup.soft("None of these.")
        return
    pages = -(-len(chosen) // EACH)
    page = st.pagination(pages, key=f"result:page:{direction}:{task}") if pages > 1 else 1
    shown = chosen[(page - 1) * EACH : page * EACH]
    asked = {name: answers.questions(row, name) for name in dict.fromkeys(flip.task for flip in shown)}
    for found in asked.values():
        if found.missing:
            markup.soft(f"The questions can't be shown: {found.missing}.")
    st.html("".join(_card(flip, asked[flip.task].items.get(flip.id)) for flip in shown))
    markup.soft(SCORES)


def _draw_filters(every: Sequence[Flip], values: Mapping[str, Value]) -> tuple[str, str]:
    """Which direction and which task; each choice names how many there are."""
    directions: dict[str, int] = {name: sum(f.direction == name for f in every) for name in NAMES}
    directions = {ALL: len(every), **directions}
    tasks = {str(name): sum(f.task == name for f in every) for name in values["task"].allowed if name != ALL}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        direction = st.segmented_control(
            "What changed", list(directions), key=view.key(PAGE, "changed"), required=True,
            format_func=lambda name: f"{NAMES.get(name, 'All')} ({directions[name]:,})",
        )  # fmt: skip
        if len(tasks) < 2:
            return str(direction), ALL
        task = st.selectbox(
            "Task", [ALL, *tasks], key=view.key(PAGE, "task"), width=260,
            format_func=lambda name: "All tasks" if name == ALL else f"{task_label(name)} ({tasks[name]:,})",
        )  # fmt: skip
    return str(direction), str(task)


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
