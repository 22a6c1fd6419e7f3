"""Compare's live texts: one prompt, every result's model answering it, and the first token where they part.

A page only asks, through the store; the lane (`engine.running.lane`), a process of its own, writes. What was last asked
of the same results is shown again on every visit.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from engine import quantities
from engine.analysis import words
from engine.analysis.compare import letters, same
from engine.errors import InputError
from engine.outcome.parting import Parting, describe, parting
from engine.outcome.row import Row
from engine.store import Completion, Exports, Generation, Generations
from engine.store.generations import LONGEST_PROMPT
from pages.shared import live, markup, stored, text_card, tray

PROMPT = "What is the capital of France?"  # short, and what compression breaks shows at once
STYLES = {"chat": "A message to answer", "plain": "A text to go on with"}
LENGTHS = ("32", "64", "128", "256")
LENGTH = "64"
POLL_S = 0.5


def draw(rows: Sequence[Row], base: Row, base_name: str, page: str) -> None:
    """The section: what to ask, and the texts, each held against the base's."""
    columns = _columns(rows, base, base_name)
    if len(columns) < 2:
        return
    markup.head("One prompt, answered live")
    names = [tray.token(row) for row in columns.values()]
    generations = Generations(stored.store())
    last = generations.newest(names)
    _draw_form(columns, last, page)
    if wrong := st.session_state.pop(_key(page, "wrong"), ""):
        st.error(markup.plain(wrong), icon=":material/error:")
    if last is None:
        markup.soft("Each model writes on its own, always its likeliest token; the first where they part is marked.")
        return
    against = next(letter for letter, row in columns.items() if same(row, base))
    poll = POLL_S if last.unfinished else None
    st.fragment(_draw_live, run_every=poll)(columns, against, base_name, names, last.unfinished)


def _columns(rows: Sequence[Row], base: Row, base_name: str) -> dict[str, Row]:
    """Who answers, by what the column is called: the base first where it is none of the results."""
    named = dict(zip(letters(rows), rows, strict=True))
    if any(same(row, base) for row in rows):
        return named
    return {base_name.removeprefix("the ").capitalize(): base, **named}


def _draw_form(columns: Mapping[str, Row], last: Generation | None, page: str) -> None:
    """The prompt, its form and length, as they were last asked, and the button that begins or stops."""
    style = "plain" if last and not last.chat else "chat"
    length = str(last.most_tokens) if last and str(last.most_tokens) in LENGTHS else LENGTH
    prompt = last.prompt if last else PROMPT
    st.text_area("Prompt", prompt, key=_key(page, "prompt"), max_chars=LONGEST_PROMPT, height=80)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "The prompt is", list(STYLES), default=style, key=_key(page, "style"), required=True,
            format_func=STYLES.__getitem__,
            help="A message goes in through the model's chat template, where its tokenizer has one.",
        )  # fmt: skip
        st.segmented_control("Tokens at most", LENGTHS, default=length, key=_key(page, "length"), required=True)
        if last and last.unfinished:
            stop = partial(_stop, last.id, page)
            st.button(
                "Stopping" if last.stop_asked else "Stop", key=_key(page, "stop"), on_click=stop,
                disabled=last.stop_asked,
            )  # fmt: skip
        else:
            ask = partial(_ask, tuple(columns.values()), page)
            st.button("Generate", key=_key(page, "ask"), type="primary", on_click=ask)


def _ask(rows: Sequence[Row], page: str) -> None:
    """Put the prompt to the results' models and see that a lane runs; what is wrong is said when the page is drawn."""
    prompt, style, length = (str(st.session_state[_key(page, name)]) for name in ("prompt", "style", "length"))
    try:
        names, trials = [tray.token(row) for row in rows], [live.trial(row) for row in rows]
        Generations(stored.store()).ask(names, trials, prompt, style == "chat", int(length))
        live.look_again()
    except InputError as error:
        st.session_state[_key(page, "wrong")] = str(error)


def _stop(generation_id: int, page: str) -> None:
    try:
        Generations(stored.store()).ask_to_stop(generation_id)
    except InputError as error:
        st.session_state[_key(page, "wrong")] = str(error)


def _draw_live(columns: Mapping[str, Row], against: str, base_name: str, names: Sequence[str], polled: bool) -> None:
    """The texts as they are now; when the last is written, the whole page is drawn again and no more polled."""
    generations = Generations(stored.store())
    now = generations.newest(names)
    if now is None or (polled and not now.unfinished):
        st.rerun()
    if now.unfinished:
        _draw_beginning(now, generations.ahead(now.id))
    written = dict(zip(columns, now.completions, strict=True))
    partings = {name: _parting(one, written[against]) for name, one in written.items() if name != against}
    labels = words.distinct_labels(list(columns.values()))
    cells = ""
    for name, row in columns.items():
        one = written[name]
        said = "" if name == against else _compared(one, written[against], partings[name], base_name)
        foot = (("kp-mean", said), ("", _speed(one, row)), ("kp-soft", _state(one)), ("kp-soft", one.note))
        heading = text_card.heading(name, labels[row.trial_id], row)
        cells += text_card.card(heading, text_card.body(one.pieces, text_card.marks(name, against, partings)), foot)
    st.html(f'<div class="kp-texts kp-live">{cells}</div>')
    style = "as a message" if now.chat else "as a text to go on with"
    markup.soft(f"Asked {style}: “{' '.join(now.prompt.split())}”")
    markup.soft(
        "Greedy, one model after the other, packed on the kernels that are timed, all else in bf16. These speeds share "
        "the machine with whatever else runs; the timed ones stand above."
    )


def _draw_beginning(now: Generation, ahead: int) -> None:
    """Say why nothing is written yet, and see that a lane runs."""
    if not live.wake() or any(one.state != "waiting" for one in now.completions):
        return
    writing = Exports(stored.store()).next()
    if writing is not None and writing.state == "writing":
        markup.soft("Waiting until a checkpoint is written.")
    elif ahead:
        markup.soft(f"Waiting behind {ahead:,} other {'prompt' if ahead == 1 else 'prompts'}.")
    else:
        markup.soft("Starting the process that writes; this takes some seconds.")


def _parting(ours: Completion, base: Completion) -> Parting | None:
    return parting(ours.pieces, base.pieces, ours.ended, base.ended)


def _compared(ours: Completion, base: Completion, found: Parting | None, base_name: str) -> str:
    """Where a text parts from the base's, in words; empty while there is nothing to compare."""
    if found is None:
        if not ours.pieces or not base.pieces:
            return ""
        whole = not ours.unfinished and not base.unfinished and ours.state == base.state == "done"
        return f"The same as {base_name}, to the last token." if whole else f"The same as {base_name} so far."
    return describe(found, ours.pieces, base.pieces, base_name)


def _speed(one: Completion, row: Row) -> str:
    if one.tokens_per_s is None:
        return ""
    if row.simulated:
        return "Simulated, so its speed says nothing."
    return quantities.format_value("decode_tokens_per_s", one.tokens_per_s)


def _state(one: Completion) -> str:
    """How far a text has come, in words."""
    count = f"{len(one.pieces):,} {'token' if len(one.pieces) == 1 else 'tokens'}"
    if one.paused:
        return "Waiting for a timing: it needs the machine to itself."
    match one.state:
        case "waiting":
            return "Waiting for its turn."
        case "compressing":
            share = f": {one.done:,} of {one.total:,}" if one.total else ""
            return f"Compressing again from its recipe{share}."
        case "loading":
            return "Loading the model."
        case "writing":
            return f"Writing: {len(one.pieces):,} of {one.total:,} tokens." if one.pieces else "Reading the prompt."
        case "failed":
            return f"Failed: {one.reason.removesuffix('.')}."
        case "stopped":
            return f"Stopped after {count}." if one.pieces else "Stopped before it began."
    return f"{count}, then it ended." if one.ended else f"{count}, as many as were asked for."


def _key(page: str, name: str) -> str:
    return f"{page}:generation:{name}"
