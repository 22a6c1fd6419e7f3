"""The model that a teaching page draws from: which one, and its pictures, prepared where the reader asks for it."""

import streamlit as st

from engine import assets, trials
from engine.errors import InputError
from engine.network import sources
from engine.network.sources import Source
from engine.outcome.row import Progress
from engine.spec import DEFAULT_MODEL
from engine.teaching import packs
from engine.teaching.pack import Pack
from pages.shared import markup, view
from pages.shared.view import Value

NAMES = {DEFAULT_MODEL: "SmolLM2-135M-Instruct"}


def models() -> Value:
    """The value of a page's address that names the model: the default, or another that is on this machine."""
    return Value(DEFAULT_MODEL, allowed=(DEFAULT_MODEL, *_others()))


def choose(page: str) -> Pack | None:
    """Let the reader choose the model where there are several; its pack, or None while it is not prepared."""
    names = [DEFAULT_MODEL, *_others()]
    for gone in view.unread(page, "model", models()):
        shown = name_of(DEFAULT_MODEL)
        st.info(markup.plain(f"{gone}, which the link names, is not on this machine: {shown} is shown."))
    if len(names) > 1:
        st.selectbox("Model", names, key=view.key(page, "model"), format_func=name_of, width=420)
    name = str(st.session_state[view.key(page, "model")])
    try:
        found = packs.shipped(name)
        if found is not None:
            return found
        with st.spinner("Reading the model's files"):
            source = trials.find_model(name)
        return packs.find(source) or _prepared(source)
    except InputError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return None


def name_of(model: str) -> str:
    """A model's name for people."""
    return NAMES.get(model, model)


def source_line(pack: Pack) -> None:
    """Where the numbers of the pictures come from, and what to know of the default model."""
    markup.soft(f"All numbers are of {name_of(pack.model)}; activations over {pack.calibration}.")
    if pack.model == DEFAULT_MODEL:
        markup.soft(assets.CAVEAT)


def _prepared(source: Source) -> Pack | None:
    """Ask whether to prepare a model's pictures, and do so; None while the reader has not asked for it."""
    markup.text(
        "The pictures on this page are taken from the model itself. For this one that has not been done yet: it is "
        "loaded once, reads some text and leaves at most 5 MB in the cache."
    )
    if not st.button("Prepare the pictures of this model", type="primary", key="teaching:prepare"):
        return None
    bar = st.progress(0.0, "Starting")

    def tell(progress: Progress) -> None:
        bar.progress(progress.share, progress.stage.capitalize())

    try:
        return packs.prepare(source, tell)
    finally:
        bar.empty()


@st.cache_data(ttl=30, show_spinner=False)
def _others() -> list[str]:
    """The other models that need no network, as users write them."""
    found = (f"{row.name}@{row.revision}" if row.revision else row.name for row in sources.known())
    return [name for name in found if name != DEFAULT_MODEL]
