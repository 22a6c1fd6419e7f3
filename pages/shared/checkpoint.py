"""Result's section "Take it along as a checkpoint": asked here, written by the lane into a folder of this machine."""

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from engine import quantities
from engine.errors import InputError
from engine.network import sources
from engine.outcome.row import Row
from engine.running.model_card import FILE, left_out, load_code, model_card
from engine.spec import DEFAULT_MODEL, parse, refuse_plain
from engine.spec.prune import Heads
from engine.spec.slicing import SliceGpt
from engine.store import Export, Exports
from engine.system import kept_files
from pages.shared import live, markup, progress, stored, tray, view

FOLDER = "my-model"
FORMATS = {"plain": "For transformers", "packed": "Packed, as measured"}
ABOUT = {
    "plain": "In bf16, packed layers dequantized, so that whatever reads models of transformers reads it.",
    "packed": "The bytes that were counted; Kneepoint reads it, transformers alone does not.",
}
POLL_S = 1.0
WRONG = "result:checkpoint:wrong"


def draw(row: Row, dense: Row | None) -> None:
    """The section of a finished result; nothing for the original, which is there already."""
    if row.recipe == "dense":
        return
    markup.head("Take it along as a checkpoint")
    format = _draw_choice(row)
    last = Exports(stored.store()).newest(tray.token(row), format)
    if wrong := st.session_state.pop(WRONG, ""):
        st.error(markup.plain(wrong), icon=":material/error:")
    if last is not None and last.unfinished:
        st.fragment(_draw_writing, run_every=POLL_S, key="result:checkpoint:writing")(tray.token(row), format)
    elif last is not None and last.state == "done" and Path(last.folder).is_dir():
        _draw_written(last)
    else:
        _draw_button(row, dense, format, last)
    with st.expander("The same from a terminal"):
        st.code(command(row, format), language="bash", wrap_lines=True)


def _draw_choice(row: Row) -> str:
    """The format, which is the one asked for last until another is chosen, and what it means."""
    refused = _not_plain(row)
    if refused:
        markup.text(f"Packed only: {refused}.")
        return "packed"
    last = Exports(stored.store()).newest(tray.token(row))
    key = f"result:checkpoint:format:{tray.token(row)}"
    view.begin(key, last.format if last else "plain")
    options = list(FORMATS)
    format = str(st.segmented_control("Format", options, key=key, required=True, format_func=FORMATS.__getitem__))
    markup.text(" ".join(filter(None, [ABOUT[format], left_out(parse(row.recipe), format)])))
    return format


def _draw_button(row: Row, dense: Row | None, format: str, last: Export | None) -> None:
    if last is not None and last.state == "failed":
        st.error(markup.plain(f"It could not be written: {last.reason}"), icon=":material/error:")
    ask = partial(_ask, row, dense, format)
    st.button("Write as a checkpoint", key="result:checkpoint:ask", icon=":material/save:", on_click=ask)
    size = _expected_bytes(row, format)
    takes = f", and takes about {quantities.format_value('weight_bytes', size)}" if size else ""
    gone = "The last one is no longer where it was written. " if last is not None and last.state == "done" else ""
    markup.soft(f"{gone}It compresses the model again, which gives the same weights{takes}.")


def _draw_writing(name: str, format: str) -> None:
    """How far it has come; when it ends, the whole page is drawn again and no more polled."""
    now = Exports(stored.store()).newest(name, format)
    if now is None or not now.unfinished:
        st.rerun()
    if not live.wake():
        return
    text = progress.describe(now.progress) if now.state == "writing" else "Waiting for the process that writes"
    st.progress(now.progress.share, text="Stopping" if now.stop_asked else text)
    stop = partial(Exports(stored.store()).ask_to_stop, now.id)
    st.button("Cancel", key="result:checkpoint:stop", on_click=stop, disabled=now.stop_asked)


def _draw_written(done: Export) -> None:
    size = quantities.format_value("weight_bytes", kept_files.size_bytes(Path(done.folder)))
    markup.text(f"Written, {size}, into this folder of the machine that Kneepoint runs on:")
    st.code(done.folder, language=None, wrap_lines=True)
    markup.text("This Python loads it:" if done.format == "plain" else "In Kneepoint's own folder and Python:")
    st.code(load_code(done.format, done.folder), language="python", wrap_lines=True)
    markup.soft(f"{FILE} in it says how it was made and what was measured. It stays until you move or delete it.")


def _ask(row: Row, dense: Row | None, format: str) -> None:
    """Ask for the checkpoint and see that a lane runs; what is wrong is said when the page is drawn."""
    try:
        asked = live.trial(row)
        card = model_card(asked, format, row, dense)
        Exports(stored.store()).ask(tray.token(row), asked, format, card)
        live.look_again()
    except InputError as error:
        st.session_state[WRONG] = str(error)


def _not_plain(row: Row) -> str:
    """Why nothing plain can express the result; empty where something can, or where its model is not here to tell."""
    recipe = parse(row.recipe)
    if not any(isinstance(step, SliceGpt | Heads) for step in recipe.steps):
        return ""
    try:
        config = _config(row)
    except InputError:
        return ""
    try:
        refuse_plain(recipe, config)
    except InputError as error:
        return str(error)
    return ""


def _config(row: Row) -> Mapping[str, Any]:
    """The configuration of the result's model, never fetched for it; raises InputError where it is not here."""
    if not row.recorded:
        trial = stored.store().trial(row.trial_id)
        return sources.resolve(trial.model, trial.revision, fetch=False).config
    if row.model != DEFAULT_MODEL:
        raise InputError("the model of a saved sweep need not be here")
    return sources.resolve(row.model).config


def _expected_bytes(row: Row, format: str) -> float | None:
    if format == "packed":
        return row.value("checkpoint_bytes")
    parameters = row.value("parameters")
    return None if parameters is None else 2 * parameters


def command(row: Row, format: str) -> str:
    """The command that exports a result: by its id where this store knows it, else by recipe and model."""
    model = [] if row.model == DEFAULT_MODEL or not row.recorded else ["--model", row.model]
    what = row.recipe if row.recorded else row.trial_id
    return shlex.join([".venv/bin/python", "-m", "engine", "export", what, FOLDER, *model, "--format", format])
