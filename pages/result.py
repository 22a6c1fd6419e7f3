"""Result: everything that is known of one trial. Reached by links: /result?trial=…"""

from html import escape

import streamlit as st

from engine import quantities
from engine.analysis import words
from engine.analysis.front import Front, telling_quality, telling_score
from engine.analysis.results import verdict
from engine.metrics import ASIDE, METRICS, SCORES, metric
from engine.outcome.row import Row
from pages.shared import checkpoint, frame, markup, stored, take_along, tray, written
from pages.shared.flip_list import draw_flips
from pages.shared.markup import Bar
from pages.shared.progress import STATES, describe
from pages.shared.result_words import (
    line,
    marks,
    quality_figure,
    settling_more,
    size_figure,
    speed_figure,
    verdict_sentence,
)
from pages.shared.stored import Group
from pages.shared.task_rows import draw_scores
from pages.shared.why import draw_why

PARTS = ("embedding", "head", "linears", "scales_zeros", "norms", "other")
SIDES = (("size", "latency", "memory"), ("accuracy", "perplexity"))
MEASURES = {"size": "Size", "latency": "Speed", "memory": "Memory", "perplexity": "Next words", "accuracy": "Answers"}


def main() -> None:
    trial = st.query_params.get("trial", "")
    row = stored.find(trial, "recorded" if st.query_params.get("from") == "recorded" else None) if trial else None
    if row is None:
        draw_missing(trial)
        return
    markup.title(row.label)
    if row.state == "failed":
        draw_failure(row)
    elif row.state != "done":
        draw_unfinished(row)
    if row.metrics:
        draw_measured(row)
    draw_details(row)


def draw_missing(trial: str) -> None:
    markup.title("Result")
    if trial:
        markup.lead("This result is not in the store of this machine.")
        markup.text("A link to a result works where it was measured, and everywhere for the recorded ones.")
    else:
        markup.lead("Choose a point in Explore to see all that is known of it.")
    if st.button("Explore", type="primary", key="result:explore"):
        st.switch_page("pages/explore.py")


def draw_failure(row: Row) -> None:
    """What happened and where, and the button that tries again."""
    st.error(markup.plain(row.reason), icon=":material/error:")
    retry_button(row)
    detail = stored.store().detail(row.trial_id)
    with st.expander("Traceback and log"):
        st.code(detail.traceback or "No traceback was left.", language=None)
        st.code(detail.log or "No log was left.", language=None)


def draw_unfinished(row: Row) -> None:
    """Where a trial that has no result yet stands; polled while it runs."""
    if row.state == "cancelled":
        markup.lead("Cancelled before it ended.")
        retry_button(row)
        return
    st.fragment(draw_waiting, run_every=1.0, key="result:waiting")(row.trial_id, row.state)


def draw_waiting(trial_id: str, state: str) -> None:
    row = stored.find(trial_id)
    if row is None or row.state != state:
        st.rerun()
    now = stored.store().progress().get(trial_id, row.progress)
    st.progress(now.share, text=describe(now) if state == "running" else STATES[state].capitalize())
    st.page_link("pages/runs.py", label="See it in Runs")


def retry_button(row: Row) -> None:
    if not row.recorded and st.button("Retry", type="primary", key="result:retry"):
        stored.retry([row.trial_id])
        st.rerun()


def draw_measured(row: Row) -> None:
    group = stored.group_of(row)
    rows = group.rows if group else (row,)
    dense = stored.dense_of(rows)
    if row.state == "done":
        front = stored.front_of(rows, "weight_bytes", telling_quality(rows, row.comparison_id), row.comparison_id)
        markup.chips(marks(row, dense, row.trial_id in front.best_ids))
        markup.lead(words.answer(row, dense))
        if sentence := words.speed(row):
            markup.text(sentence)
        markup.figures([size_figure(row, dense), quality_figure(row, dense), speed_figure(row)])
        links(row, group, dense, front)
    draw_why(row, dense)
    draw_answers(row, dense)
    draw_bytes(row, dense)
    draw_metrics(row, dense)
    if row.state == "done":
        written.draw_one(row, dense, "result")
        draw_flips(row, dense)
        checkpoint.draw(row, dense)


def links(row: Row, group: Group | None, dense: Row | None, front: Front) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        query = {"of": group.key if group else "", "trial": row.trial_id}
        st.page_link(
            "pages/explore.py", label="Show it on the front", icon=":material/scatter_plot:", query_params=query
        )
        again = {"recipe": row.recipe, "model": row.model, "limit": str(row.protocol.get("limit", ""))}
        st.page_link("pages/new_sweep.py", label="Try it", icon=":material/add_chart:", query_params=again)
        take_along.csv_button([row, *([dense] if dense and dense is not row else [])], front, "result:csv")
    tray.draw(row)


def draw_answers(row: Row, dense: Row | None) -> None:
    """What its answers say of it: whether it can be told from the original, and how it does in every task."""
    if row.value("accuracy_low") is None:
        return
    markup.head("Answers, task by task")
    for score, by in (("accuracy", ""), ("accuracy_norm", "By length")):
        judged = verdict(row, score)
        if judged:
            markup.text(verdict_sentence(judged, by))
    if guessing := words.guessing(dense):
        markup.text(guessing)
    if judged := verdict(row, telling_score(dense)):
        markup.soft(settling_more(judged))
    draw_scores(row, dense)


def draw_bytes(row: Row, dense: Row | None) -> None:
    """Where the bytes are, beside where the original has them."""
    now = {part: row.value(f"{part}_bytes") for part in PARTS}
    before = {part: (dense.value(f"{part}_bytes") if dense else None) or 0.0 for part in PARTS}
    scale = max([*(value or 0.0 for value in now.values()), *before.values()])
    if not scale:
        return
    markup.head("Where the bytes are")
    shown = [part for part in PARTS if now[part] or before[part]]
    markup.bars(
        Bar(
            METRICS[f"{part}_bytes"].label,
            (now[part] or 0.0) / scale,
            before[part] / scale,
            quantities.format_value("weight_bytes", now[part]),
            METRICS[f"{part}_bytes"].definition,
        )
        for part in shown
    )
    if dense is not None and dense is not row:
        markup.soft("Thin grey bars: the original in bf16.")


def draw_metrics(row: Row, dense: Row | None) -> None:
    """Every number with its interval; names explain themselves on hover."""
    for column, measures in zip(st.columns(2, gap="large"), SIDES, strict=True):
        for measure in measures:
            if names := names_of(row, measure):
                with column:
                    markup.head(MEASURES[measure])
                    markup.table(("", "Result", "Original"), [line(row, dense, name) for name in names])


def names_of(row: Row, measure: str) -> list[str]:
    """The metrics of a measure that the row has, in the order they are declared; accuracies of tasks stand apart."""
    shown = {f"{score}_{task}" for score in (*SCORES, "accuracy_chance") for task in row.protocol.get("tasks") or ()}
    known = {name for name in row.metrics if not name.endswith(ASIDE) and name not in shown and is_metric(name)}
    ours = [name for name in known if metric(name).measure == measure and name.removesuffix("_bytes") not in PARTS]
    order = list(METRICS)
    return sorted(ours, key=lambda name: (order.index(name) if name in METRICS else len(order), name))


def is_metric(name: str) -> bool:
    try:
        metric(name)
    except KeyError:
        return False
    return True


def draw_details(row: Row) -> None:
    """The raw recipe, the protocol and where it was measured."""
    with st.expander("Recipe, protocol and machine"):
        st.code(row.recipe, language=None)
        facts = {"Trial": row.trial_id, "Model": row.model, **named(row.protocol), **named(row.environment)}
        cells = "".join(
            f'<tr><td>{escape(name)}</td><td class="kp-num">{escape(value)}</td></tr>' for name, value in facts.items()
        )
        markup.framed(f'<table class="kp-table"><tbody>{cells}</tbody></table>', "Protocol and machine")
        for note in row.notes:
            markup.soft(note)


def named(facts: object) -> dict[str, str]:
    assert hasattr(facts, "items")
    return {
        name.replace("_", " ").capitalize(): ", ".join(map(str, value))
        if isinstance(value, list | tuple)
        else str(value)
        for name, value in facts.items()
        if value is not None
    }


frame.guard()
main()
