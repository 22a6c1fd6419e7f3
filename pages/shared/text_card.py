"""One model's text as a card: what it wrote, the tokens at which texts part marked in it, and what is said of it.

All of it is HTML in the style of style.css, everything that is given here escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from engine.outcome.parting import Parting
from engine.outcome.row import Row
from engine.plots.palette import family
from pages.shared import markup


def card(heading: str, body: str, foot: Iterable[tuple[str, str]]) -> str:
    """heading and body as the functions below make them, no body where there is no text; foot: (style, sentence)."""
    wrote = f'<p class="kp-wrote">{body}</p>' if body else ""
    said = "".join(f'<p class="{style}">{markup.shown(text)}</p>' for style, text in foot if text)
    return f'<article class="kp-writer"><header>{heading}</header>{wrote}<footer>{said}</footer></article>'


def heading(name: str, label: str, row: Row) -> str:
    """What the column is called, and its result where that is called otherwise."""
    look = family(row.family)
    mark = f'<span style="color:{look.colour or "currentColor"}" aria-hidden="true">{look.glyph}</span>'
    return f'<span class="kp-letter">{markup.shown(name)}</span> {mark} {markup.shown(label) if label != name else ""}'


def marks(name: str, against: str, partings: Mapping[str, Parting | None]) -> dict[int, str]:
    """Token -> the letters of those who part there from the base, which is called `against`; in the text of `name`.

    partings: of every other text from the base's. In another's own text nobody is named, and where there is just one
    other, in the base's neither.
    """
    if name != against:
        found = partings.get(name)
        return {found.ours: ""} if found else {}
    marked: dict[int, str] = {}
    for other, found in partings.items():
        if found:
            letter = other if len(partings) > 1 else ""
            marked[found.theirs] = f"{marked.get(found.theirs, '')}{letter}"
    return marked


def body(pieces: Sequence[str], marked: Mapping[int, str]) -> str:
    """The text with its marked tokens; a line's end and the text's own are shown by signs, to be seen."""
    parts = []
    for token, piece in enumerate((*pieces, "")):
        if token not in marked:
            parts.append(escape(piece))
            continue
        shown = "■" if token == len(pieces) else piece.replace("\n", "↵\n")
        who = f"<sup>{escape(marked[token])}</sup>" if marked[token] else ""
        why = f"{', '.join(marked[token])} parts here" if marked[token] else "Parts here"
        space, word, after = _split(shown)
        parts.append(f"{space}<mark{markup.tip(why, 'kp-part')}>{escape(word) or '␣'}{who}</mark>{after}")
    return "".join(parts)


def _split(piece: str) -> tuple[str, str, str]:
    """The spaces before a piece, what of it is marked, and the line's end after it."""
    word = piece.lstrip(" ")
    marked = word.rstrip("\n")
    return piece[: len(piece) - len(word)], marked, word[len(marked) :]
