"""Small pieces of HTML in the style of style.css. Every text given here is escaped, and keeps numbers with their units.

What pictures show as well is made by functions of its own, whose names end in _html.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

import streamlit as st

from engine.metrics import metric
from engine.typesetting import unbroken

_TAKE_TABLE = '<button type="button" class="kp-csv" aria-label="Save the table as CSV">CSV</button>'  # see window.js


class Figure(NamedTuple):
    """A number with its name, what it is compared with, and its definition as the name's tip."""

    label: str
    value: str
    under: str = ""
    definition: str = ""


class Bar(NamedTuple):
    """One labelled bar: a share in [0, 1] now, and one before."""

    label: str
    share: float
    before: float
    text: str
    definition: str = ""


def shown(text: str) -> str:
    """A text of ours as HTML: escaped, and no line ends between a number and its unit."""
    return escape(unbroken(text))


def title(text: str) -> None:
    st.html(f'<h1 class="kp-title">{shown(text)}</h1>')


def lead(text: str) -> None:
    """The sentence that answers the page's question."""
    st.html(f'<p class="kp-lead">{shown(text)}</p>')


def text(words: str) -> None:
    st.html(text_html(words))


def text_html(words: str) -> str:
    return f'<p class="kp-text">{shown(words)}</p>'


def soft(words: str) -> None:
    """A remark."""
    st.html(f'<p class="kp-soft">{shown(words)}</p>')


def head(words: str) -> None:
    st.html(head_html(words))


def head_html(words: str) -> str:
    return f'<h2 class="kp-head">{shown(words)}</h2>'


def sub(words: str) -> None:
    """A heading below `head`."""
    st.html(f'<h3 class="kp-sub">{shown(words)}</h3>')


def points(sentences: Iterable[str]) -> None:
    """Sentences that each make a point, as a list."""
    st.html(points_html(sentences))


def points_html(sentences: Iterable[str]) -> str:
    return f'<ul class="kp-points">{"".join(f"<li>{shown(one)}</li>" for one in sentences)}</ul>'


def legend(items: Iterable[tuple[str, float]]) -> None:
    """What shades mean, several pictures sharing it: (name, share of the text colour in [0, 1])."""
    cells = "".join(
        f'<span><i style="background:color-mix(in srgb, currentColor {100 * share:.0f}%, transparent)"></i>'
        f"{shown(name)}</span>"
        for name, share in items
    )
    st.html(f'<div class="kp-legend">{cells}</div>')


def key(marks: Iterable[tuple[str, str, str]], remark: str = "", axes: Iterable[tuple[str, str]] = ()) -> None:
    """What marks in a picture mean: (sign, CSS colour, name) of each, a remark, and the axes as (name, its tip)."""
    cells = "".join(
        f'<span><b style="color:{colour}" aria-hidden="true">{sign}</b> {shown(name)}</span>'
        for sign, colour, name in marks
    )
    said = f'<span class="kp-soft">{shown(remark)}</span>' if remark else ""
    named = " · ".join(f"<span{tip(why)}>{shown(name)}</span>" for name, why in axes)
    said += f'<span class="kp-soft">Axes: {named}</span>' if named else ""
    st.html(f'<div class="kp-legend">{cells}{said}</div>')


def figures(items: Iterable[Figure]) -> None:
    """Numbers side by side, below each other where the page is narrow."""
    st.html(figures_html(items))


def figures_html(items: Iterable[Figure]) -> str:
    cells = "".join(
        f'<div class="kp-figure"><div class="kp-under"><span{tip(f.definition)}>{shown(f.label)}</span></div>'
        f'<div class="kp-value">{shown(f.value)}</div><div class="kp-under">{shown(f.under)}</div></div>'
        for f in items
    )
    return f'<div class="kp-figures">{cells}</div>'


def facts(items: Iterable[Sequence[str | tuple[str, str]]]) -> None:
    """Names over their values, as many beside each other as there is room for; each may be (text, its tip)."""
    cells = "".join(f"<div><dt>{_tipped(name)}</dt><dd>{_tipped(value)}</dd></div>" for name, value in items)
    st.html(f'<dl class="kp-facts">{cells}</dl>')


def chips(items: Iterable[tuple[str, str]]) -> None:
    """Marks such as "recorded"; each is (text, its tip)."""
    st.html(chips_html(items))


def chips_html(items: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<span{tip(why, 'kp-chip')}>{shown(words)}</span>" for words, why in items)
    return f'<div class="kp-chips">{cells}</div>'


def bars(items: Iterable[Bar]) -> None:
    """Horizontal bars on one scale, what was before in grey under what is now."""
    cells = "".join(
        f"<span><span{tip(b.definition)}>{shown(b.label)}</span></span><span>"
        f'<span class="kp-bar" style="display:block"><i style="width:{100 * b.share:.2f}%"></i></span>'
        f'<span class="kp-bar" style="display:block;height:5px;margin-top:2px">'
        f'<i class="kp-was" style="width:{100 * b.before:.2f}%"></i></span></span>'
        f'<span class="kp-num">{shown(b.text)}</span>'
        for b in items
    )
    st.html(f'<div class="kp-bars">{cells}</div>')


def table(heads: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]], texts: int = 1) -> None:
    """A plain table, its first `texts` columns texts and the others numbers; a cell may be (text, its tip)."""
    kinds = ["" if column < texts else "kp-num" for column in range(len(heads))]
    top = "".join(f'<th class="{kind}">{shown(head)}</th>' for head, kind in zip(heads, kinds, strict=True))
    lines = ("".join(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True)) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    inner = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    framed(f'<table class="kp-table">{inner}</table>', ", ".join(filter(None, heads)))


def framed(table: str, label: str) -> None:
    """Draw the HTML of a table, to be saved as CSV, in a box that scrolls where the page is narrow."""
    st.html(scrolling(table, label) + _TAKE_TABLE)


def verdicts(heads: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]]) -> None:
    """A table of sentences that stands line by line where the page is narrow; a cell may be (text, its source)."""
    top = "".join(f'<th scope="col">{shown(head)}</th>' for head in heads)
    body = "".join(f"<tr>{''.join(map(_sentence, heads, row))}</tr>" for row in rows)
    st.html(
        f'<table class="kp-table kp-verdicts"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>{_TAKE_TABLE}'
    )


def tip(why: str, style: str = "") -> str:
    """The attributes of an element of a style that explains itself on hover, focus and tap; without a why, the style's.

    style.css shows the explanation, and a screen reader reads it out.
    """
    if not why:
        return f' class="{style}"'
    return f' class="{f"{style} kp-tip".strip()}" tabindex="0" aria-description="{shown(why)}"'


def scrolling(table: str, label: str) -> str:
    """The HTML of a table in a box that scrolls where the page is narrow, which Tab reaches."""
    return f'<div class="kp-scroll" role="group" tabindex="0" aria-label="{shown(label)}">{table}</div>'


def definition(name: str) -> str:
    """What a metric is, for a tip."""
    found = metric(name)
    return f"{found.label}: {found.definition}"


def plain(words: str) -> str:
    """Text for a Streamlit label or caption, its Markdown signs made harmless, and numbers kept with their units."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|~$<>:&" else c for c in unbroken(words))


def _sentence(head: str, cell: str | tuple[str, str]) -> str:
    words, source = cell if isinstance(cell, tuple) else (cell, "")
    small = f"<small>{shown(source)}</small>" if source else ""
    return f'<td data-head="{shown(head)}">{shown(words)}{small}</td>'


def _cell(cell: str | tuple[str, str], kind: str) -> str:
    return f'<td class="{kind}">{_tipped(cell)}</td>'


def _tipped(cell: str | tuple[str, str]) -> str:
    words, why = cell if isinstance(cell, tuple) else (cell, "")
    return f"<span{tip(why)}>{shown(words)}</span>" if why else shown(words)
