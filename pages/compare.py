"""Compare: two to four results side by side, with what can and what can't be told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from engine.analysis import words
from engine.analysis.compare import Against, against, letters, same
from engine.analysis.front import may_be_picked, telling_quality, telling_score
from engine.metrics import METRICS, SCORES
from engine.outcome.row import Row
from engine.plots.compare import bytes_figure, task_data, task_figure
from pages.shared import (
    by_batch,
    by_layer,
    chart,
    differing,
    frame,
    generation,
    link,
    markup,
    side_by_side,
    stored,
    take_along,
    tray,
    view,
    written,
)  # fmt: skip
from pages.shared.answers import ALL
from pages.shared.result_words import marks, questions
from pages.shared.stored import Group
from pages.shared.view import Value

PAGE = "compare"
FIRST, ORIGINAL = "first", "original"


@dataclass(frozen=True)
class Chosen:
    """The results of the tray, in order, and what they are compared with."""

    rows: tuple[Row, ...]
    base: Row
    pairs: tuple[Against, ...]  # one a row

    @property
    def base_name(self) -> str:
        """What sentences call the base: its letter, or the original where that is not in the tray."""
        named = zip(letters(self.rows), self.rows, strict=True)
        return next((letter for letter, row in named if same(row, self.base)), "the original")


def main() -> None:
    markup.title("Compare")
    values = {
        "trials": tray.VALUE,
        "against": Value(FIRST, allowed=(FIRST, ORIGINAL)),
        "score": Value(telling_score(first_original()), allowed=SCORES),
        "which": Value(""),
        "changed": Value(ALL, allowed=differing.CHANGES),
        "task": Value(ALL),
    }
    view.restore(PAGE, values)
    names = tray.tokens()
    if not names:
        draw_empty()
        view.keep(PAGE, values)
        return
    found = {name: tray.find(name) for name in names}
    draw_tray(found)
    rows = tuple(row for row in found.values() if row is not None and stands(row))
    st.fragment(draw_results)(rows, values)


def name_of(score: str) -> str:
    return METRICS[score].label


def first_original() -> Row | None:
    """The original of the first result that the tray will hold."""
    named = tray.read(str(view.find(PAGE, tray.NAME, tray.VALUE)))
    first = tray.find(named[0]) if named else None
    return dense_of(first) if first else None


def stands(row: Row) -> bool:
    """Whether a result can be shown: it is done, or more is being measured of what was done before."""
    return row.has_result or (row.state in ("queued", "running") and row.value("weight_bytes") is not None)


def draw_empty() -> None:
    markup.lead("Put two to four results beside each other: what they gain, what they cost, which answers change.")
    markup.text("Choose a point in Explore and press “Add to compare”, or begin with a proposal.")
    proposed = next((found for group in stored.groups() if len(found := proposal(group)) > 1), [])
    with st.container(horizontal=True):
        if proposed:
            label = f"Compare {' and '.join(words.short_label(row) for row in proposed[:2])}"
            label = "Compare the original, the knee and the smallest" if len(proposed) > 2 else label
            put = partial(tray.keep, [tray.token(row) for row in proposed])
            st.button(label, type="primary", key="compare:propose", on_click=put)
        if st.button("Explore", key="compare:explore"):
            st.switch_page("pages/explore.py")
        if not proposed and st.button("New sweep", key="compare:new_sweep"):
            st.switch_page("pages/new_sweep.py")


def proposal(group: Group) -> list[Row]:
    """The original, the knee and the smallest result of a front, as many of them as there are."""
    quality = telling_quality(group.rows, group.comparison.id)
    front = stored.front_of(group.rows, "weight_bytes", quality, group.comparison.id)
    knee = front.knee.row if front.knee else None
    sound = [row for row in front.best if may_be_picked(row)]
    some = [front.dense, knee, *sound[:1]]
    return list({row.trial_id: row for row in some if row is not None}.values())


def draw_tray(found: Mapping[str, Row | None]) -> None:
    """Each result with its letter, the buttons that move it or take it out, and a list to add from."""
    there = {name: row for name, row in found.items() if row is not None and stands(row)}
    known = list(there.values())
    lettered = dict(zip(there, letters(known), strict=True))
    labels = words.distinct_labels(known)
    for place, (column, (name, row)) in enumerate(zip(st.columns(max(2, len(found))), found.items(), strict=False)):
        with column, st.container(border=True, height="stretch", key=f"compare-card-{place}"):
            if name in lettered:
                assert row is not None
                side_by_side.draw_name(lettered[name], row, labels[row.trial_id])
                if not frame.narrow():
                    markup.chips(marks(row, dense_of(row)))
            else:
                draw_missing(name, row)
            draw_buttons(name, row, first=place == 0)
    draw_adding(list(found), known)


def draw_missing(name: str, row: Row | None) -> None:
    markup.head("No result")
    why = f"has no result: it is {row.state}" if row else "is not on this machine. A link works where it was measured"
    markup.soft(f"{name} {why}.")


def draw_buttons(name: str, row: Row | None, first: bool) -> None:
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        if not first:
            st.button(
                "← Left", key=f"compare:left:{name}", type="tertiary", on_click=partial(tray.move, name, -1),
                help="Move it to the left: the others are compared with the first",
            )  # fmt: skip
        st.button("Remove", key=f"compare:remove:{name}", type="tertiary", on_click=partial(tray.remove, name))
        if row is not None:
            st.page_link("pages/result.py", label="Details", query_params=stored.address(row))


def draw_adding(names: Sequence[str], known: Sequence[Row]) -> None:
    """A list to add from, of the same comparison as the first result, while there is room."""
    group = stored.group_of(known[0]) if known else None
    if group is None or len(names) >= tray.MOST:
        return
    others = {tray.token(row): row for row in group.rows if row.state == "done" and tray.token(row) not in names}
    labels = words.distinct_labels(list(others.values()))

    def put() -> None:
        if chosen := st.session_state[key]:
            tray.add(chosen)

    key = f"compare:add:{len(names)}"
    st.selectbox(
        "Add another", list(others), index=None, key=key, on_change=put, placeholder="A result of the same questions",
        format_func=lambda name: labels[others[name].trial_id], width=420,
    )  # fmt: skip


def draw_results(rows: tuple[Row, ...], values: Mapping[str, Value]) -> None:
    """Everything below the tray; a fragment, so that a choice here redraws only this."""
    if not rows:
        view.keep(PAGE, values)
        markup.text("None of these has a result here. Take them out, and choose others in Explore.")
        return
    chosen = choose(rows)
    draw_said(chosen)
    markup.head("Side by side")
    side_by_side.draw_table(chosen.rows, chosen.pairs, chosen.base_name)
    draw_bytes(chosen.rows)
    by_batch.draw(chosen.rows)
    draw_tasks(chosen)
    by_layer.draw(chosen.rows)
    written.draw_beside(chosen.rows, chosen.base, chosen.base_name, PAGE)
    generation.draw(chosen.rows, chosen.base, chosen.base_name, PAGE)
    differing.draw(chosen.rows, chosen.pairs, chosen.base, chosen.base_name, PAGE)
    with st.container(horizontal=True, vertical_alignment="center"):
        take_along.csv_button(chosen.rows, take_along.front_of(chosen.base), "compare:csv")
        link.copy_button(view.query(values, view.keep(PAGE, values)), key="compare:copy")


def choose(rows: tuple[Row, ...]) -> Chosen:
    """What the results are compared with: the first, or the original where that is wanted or all that is possible."""
    base, dense = rows[0], dense_of(rows[0])
    bare = base.recorded and not stored.items(base)  # then only the original is possible
    if dense is not None and not same(dense, base) and (bare or draw_base(base) == ORIGINAL):
        base = dense
    return Chosen(rows, base, tuple(_against(row, base, stored.stamp((row, base))) for row in rows))


def dense_of(row: Row) -> Row | None:
    """The original that a result was compared with."""
    group = stored.group_of(row)
    return stored.dense_of(group.rows) if group else None


def draw_base(first: Row) -> str:
    names = {FIRST: f"A, {words.short_label(first)}", ORIGINAL: "The original"}
    return str(
        st.segmented_control(
            "Compared with", list(names), key=view.key(PAGE, "against"), required=True, format_func=names.__getitem__
        )
    )


@st.cache_resource(show_spinner=False, max_entries=32)
def _against(_row: Row, _base: Row, key: int) -> Against:
    named = {_row.trial_id: _row, _base.trial_id: _base}
    return against(_row, _base, lambda trial_id: stored.items(named[trial_id]))


def draw_said(chosen: Chosen) -> None:
    """What the comparison comes to, a sentence a result, and why some are not paired."""
    if len(chosen.rows) == 1:
        markup.text("One result so far: add a second to compare it with.")
    lettered = list(zip(letters(chosen.rows), chosen.pairs, strict=True))
    with st.container(gap="xsmall"):
        for letter, pair in lettered:
            if sentence := side_by_side.sentence(letter, pair, chosen.base_name):
                markup.text(sentence)
    if guessing := words.guessing(dense_of(chosen.base)):
        markup.soft(guessing)
    for reason in dict.fromkeys(pair.missing for _, pair in lettered if pair.missing):
        without = [letter for letter, pair in lettered if pair.missing == reason]
        st.info(markup.plain(side_by_side.unpaired(without, chosen.base_name, reason)), icon=":material/info:")


def draw_bytes(rows: Sequence[Row]) -> None:
    """Where each file's bytes are."""
    if not any(row.value("linears_bytes") for row in rows):
        return
    markup.head("Where the bytes are")
    names = [words.distinct_labels(rows)[row.trial_id] for row in rows]
    figure = bytes_figure(rows, names, frame.theme(), compact=frame.narrow())
    st.plotly_chart(
        figure, key="compare:bytes", theme=None, config=chart.config("bytes"), alt="Bytes of each result, part by part"
    )


def draw_tasks(chosen: Chosen) -> None:
    """Accuracy task by task; each bar with its own interval."""
    scores = [score for score in SCORES if task_data(chosen.rows, score)]
    if not scores:
        return
    markup.head("Answers, task by task")
    if len(scores) > 1:
        st.segmented_control(
            "Counted as", scores, key=view.key(PAGE, "score"), required=True, format_func=name_of,
            help="\n\n".join(map(markup.definition, scores)),
        )  # fmt: skip
    wanted = str(st.session_state[view.key(PAGE, "score")])
    score = wanted if wanted in scores else scores[0]
    figure = task_figure(chosen.rows, score, frame.theme(), compact=frame.narrow())
    st.plotly_chart(
        figure, key="compare:tasks", theme=None, config=chart.config("tasks"), alt=f"{name_of(score)} of each task"
    )
    asked = "; ".join(sorted({questions(row.protocol) for row in chosen.rows if row.protocol.get("tasks")}))
    markup.soft(f"{asked}. Whiskers: each result's own 95% interval.")
    if any(pair.paired for pair in chosen.pairs):
        markup.soft("All answered the same questions, so the table knows their differences better than these whiskers.")


frame.guard()
main()
