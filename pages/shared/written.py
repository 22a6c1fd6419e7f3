"""Greedy texts side by side, as Result and Compare show them: one prompt, what each model wrote, where they part."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import streamlit as st

from engine.analysis import words
from engine.analysis.compare import letters, same
from engine.analysis.front import is_dense
from engine.outcome.parting import Parting, agreement, describe, parting
from engine.outcome.row import Row
from engine.outcome.texts import Text
from pages.shared import markup, stored, text_card, view

LABEL_CHARS = 56  # of a prompt's end, in the list to choose from


class Column(NamedTuple):
    """One result: its heading, what sentences call it, and what it wrote."""

    head: str
    name: str
    row: Row
    texts: Sequence[Text]

    def after(self, prompt: str) -> Text | None:
        return next((text for text in self.texts if text.prompt == prompt), None)


def draw_one(row: Row, dense: Row | None, page: str) -> None:
    """Result's section: what it writes, beside what the original does."""
    markup.head("What it writes")
    own = Column("Now", "it", row, stored.kept(row).texts)
    if dense is None:
        _draw(own, [own], page)
    elif is_dense(row):
        original = own._replace(head="Original")
        _draw(original, [original], page)
    else:
        original = Column("Original", "the original", dense, stored.kept(dense).texts)
        _draw(original, [original, own], page)


def draw_beside(rows: Sequence[Row], base: Row, base_name: str, page: str) -> None:
    """Compare's section: what every result writes, and where it parts from the base."""
    markup.head("What they write")
    named = zip(letters(rows), rows, strict=True)
    columns = [Column(letter, letter, row, stored.kept(row).texts) for letter, row in named]
    first = next((column for column in columns if same(column.row, base)), None)
    if first is None:
        first = Column(base_name.removeprefix("the ").capitalize(), base_name, base, stored.kept(base).texts)
        columns = [first, *columns]
    _draw(first, columns, page)


def sentence(column: Column, base: Column) -> str:
    """How far a result's texts are the base's; empty where neither the texts nor a measurement says."""
    found = agreement(column.texts, base.texts)
    measured = is_dense(base.row) and column.row.comparison_id == base.row.comparison_id
    names = (f"greedy_match_tokens{end}" for end in ("", "_low", "_high"))
    mean, low, high = (column.row.value(name) if measured else None for name in names)
    mean = found.tokens if mean is None and found else mean
    if mean is None:
        return ""
    span = "" if low is None or high is None else f" (95%: {low:.1f} to {high:.1f})"
    said = f"{_capital(column.name)} goes on exactly as {base.name} does for {mean:.1f} tokens on average{span}."
    if found is None:
        return said
    are = "is" if found.whole == 1 else "are"
    length = len(column.texts[0].tokens)
    return f"{said} Of {found.texts} texts of {length} tokens, {found.whole or 'none'} {are} the same to the end."


def compared(text: Text, base: Text, base_name: str) -> str:
    """Where a text leaves the base's, in words."""
    found = _parting(text, base)
    if found is None:
        return f"The same as {base_name}, to the last token."
    return describe(found, text.pieces, base.pieces, base_name)


def why_none(row: Row) -> str:
    """Why a result has no texts."""
    if row.value("perplexity") is None:
        return "Nothing was written: next words were not measured for this result"
    if row.recorded:
        return "Recorded before texts were kept: measure it here to see them"
    return "Measured before texts were kept: measure it again with “Try it”, and only its next words are measured anew"


def _draw(base: Column, columns: Sequence[Column], page: str) -> None:
    others = [column for column in columns if column is not base]
    for column in others:
        if said := sentence(column, base):
            markup.text(said)
    if any(column.texts for column in columns):
        st.fragment(_draw_prompt)(base, columns, page)
        return
    for reason in dict.fromkeys(why_none(column.row) for column in columns):
        markup.soft(f"{reason}.")


def _draw_prompt(base: Column, columns: Sequence[Column], page: str) -> None:
    """The prompts to choose from, and every column's text after the chosen one."""
    known = base.texts or next(column.texts for column in columns if column.texts)
    prompts = [text.prompt for text in known]
    labels = {prompt: _label(n, prompt, columns) for n, prompt in enumerate(prompts, 1)}
    key = view.key(page, "prompt")
    if st.session_state.get(key) not in labels:
        st.session_state[key] = prompts[0]
    prompt = str(st.selectbox("Prompt", prompts, key=key, format_func=labels.__getitem__))
    cells = _cards(base, columns, prompt)
    st.html(f'<p class="kp-asked">{escape(prompt)}…</p><div class="kp-texts">{cells}</div>')
    if any(column.row.recorded and column.texts for column in columns):
        markup.soft("Recorded results keep a few of their texts; the mean is over all of them.")


def _label(number: int, prompt: str, columns: Sequence[Column]) -> str:
    """A prompt's number and end, and where the texts part if there are just two."""
    end = " ".join(prompt.split())
    end = f"…{end[-LABEL_CHARS:]}" if len(end) > LABEL_CHARS else end
    texts = [text for column in columns if (text := column.after(prompt))]
    if len(columns) != 2 or len(texts) != 2:
        return f"{number}. {end}"
    found = _parting(*reversed(texts))
    return f"{number}. {end} · {f'parts at token {found.ours + 1:,}' if found else 'the same'}"


def _cards(base: Column, columns: Sequence[Column], prompt: str) -> str:
    """Every column's text after a prompt, each marked where it is not the base's any more."""
    reference = base.after(prompt)
    beside = {column.head: column.after(prompt) for column in columns if column is not base}
    partings = {name: _parting(text, reference) for name, text in beside.items() if text and reference}
    labels = words.distinct_labels([column.row for column in columns])
    cells = ""
    for column in columns:
        heading, text = text_card.heading(column.head, labels[column.row.trial_id], column.row), column.after(prompt)
        if text is None:
            why = "It did not write after this prompt" if column.texts else why_none(column.row)
            cells += text_card.card(heading, "", [("kp-soft", f"{why}.")])
            continue
        body = text_card.body(text.pieces, text_card.marks(column.head, base.head, partings))
        said = compared(text, reference, base.name) if reference and column is not base else ""
        cells += text_card.card(heading, f"…{body}", [("kp-mean", said)])
    return cells


def _parting(text: Text, base: Text) -> Parting | None:
    """Texts of a fixed length are cut off: an end-of-text token is one like any other there."""
    return parting(text.pieces, base.pieces, ours_ended=False, theirs_ended=False)


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
