"""Answers to questions, as Result and Compare list those that differ: read once, and drawn choice by choice."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import streamlit as st

from engine.analysis import flips
from engine.analysis.flips import Direction, Flip
from engine.errors import InputError
from engine.outcome.row import Row
from engine.quantities import MINUS, NOTHING
from engine.store import ItemResult
from engine.tasks import Item, task_label
from pages.shared import markup, stored

ALL = "all"
NAMES: Mapping[Direction, str] = {
    "to_wrong": "Right to wrong",
    "to_right": "Wrong to right",
    "other_wrong": "Wrong to wrong",
}


class Questions(NamedTuple):
    """A task's questions by id, or why they can't be shown."""

    items: Mapping[int, Item]
    missing: str


class Side(NamedTuple):
    """One column of choices: what a result is called, and its answer to the question; None where it has none."""

    name: str
    answer: ItemResult | None


def differing(row: Row, base: Row) -> list[Flip]:
    """The questions that both answered, and otherwise; read once while neither is measured again."""
    return _differing(row, base, stored.stamp((row, base)))


def answers(row: Row) -> Mapping[tuple[str, int], ItemResult]:
    """Every answer of a result by task and question."""
    return _answers(row, stored.stamp((row,)))


def questions(row: Row, task: str) -> Questions:
    """The questions of a task that a result answered; looked at again after a minute, for files come and go."""
    return _questions(row, stored.stamp((row,)), task)


def card(flip: Flip, item: Item | None, sides: Sequence[Side], remark: str = "") -> str:
    """One question as HTML, everything of it escaped: its text, its choices and what each side makes of them."""
    asked = flips.question_text(item) if item else ""
    text = f'<p class="kp-asked" tabindex="0">{escape(asked)}</p>' if asked else ""
    place = f"{task_label(flip.task)}, item {flip.id:,}"
    foot = f"<footer>{markup.shown(remark)}</footer>" if remark else ""
    return (
        f'<article class="kp-flip"><header><b>{escape(NAMES[flip.direction])}</b><span>{escape(place)}</span></header>'
        f"{text}{_choices(flip, item, sides)}{foot}</article>"
    )


def signed(score: float | None) -> str:
    """A log-likelihood, with a true minus."""
    return NOTHING if score is None else f"{score:.2f}".replace("-", MINUS)


def _choices(flip: Flip, item: Item | None, sides: Sequence[Side]) -> str:
    """The choices with every side's log-likelihoods; the gold one and those chosen are marked in words."""
    gold = item.gold if item else flip.gold
    count = max(len(side.answer.loglikelihoods) for side in sides if side.answer)
    rows = ""
    for n in range(count):
        name = item.options[n] if item and n < len(item.options) else f"Choice {n + 1}"
        mark = '<span class="kp-gold">right</span>' if n == gold and count > 1 else ""
        rows += f"<tr><td>{escape(name)} {mark}</td>{''.join(_cell(side.answer, n) for side in sides)}</tr>"
    heads = "<th></th>" + "".join(f'<th class="kp-num">{escape(side.name)}</th>' for side in sides)
    table = f'<table class="kp-table"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return markup.scrolling(table, "The choices and their log-likelihoods")


def _cell(answer: ItemResult | None, choice: int) -> str:
    known = answer is not None and choice < len(answer.loglikelihoods)
    shown = signed(answer.loglikelihoods[choice]) if answer and known else NOTHING
    chosen = answer is not None and answer.choice == choice
    marked = f'<span class="kp-choice"><small>chosen</small> <b>{shown}</b></span>'
    return f'<td class="kp-num">{marked if chosen else shown}</td>'


@st.cache_resource(show_spinner=False, max_entries=8)
def _differing(_row: Row, _base: Row, key: int) -> list[Flip]:
    return flips.find_flips(stored.items(_row), stored.items(_base))


@st.cache_resource(show_spinner=False, max_entries=8)
def _answers(_row: Row, key: int) -> dict[tuple[str, int], ItemResult]:
    return {(task, answer.id): answer for task, found in stored.items(_row).items() for answer in found}


@st.cache_resource(show_spinner=False, max_entries=32, ttl=60)
def _questions(_row: Row, key: int, task: str) -> Questions:
    try:
        return Questions(flips.load_questions(stored.trial(_row), task), "")
    except InputError as error:
        return Questions({}, str(error))
