"""New sweep's model: one that is on this machine, or another folder or hub model that is looked for."""

import streamlit as st

from engine import trials
from engine.errors import InputError
from engine.network import sources
from engine.network.sources import Known
from pages.shared import markup, view

KEY = "sweep:model"
OTHER = "another"
NEXT = "sweep|found"  # what is to be chosen when the list is drawn next


def choose(name: str) -> None:
    """Choose a model by its name, before it is drawn; one that is not known is put where others are looked for."""
    st.session_state[NEXT] = name


def draw() -> str | None:
    """The model's name with its revision as the engine finds it, or None while there is none."""
    markup.head("Model")
    known = {_name(row): row for row in _known()}
    wanted = st.session_state.pop(NEXT, None)
    if wanted in known:
        st.session_state[KEY] = wanted
    elif wanted is not None:
        st.session_state[KEY], st.session_state["sweep:other"] = OTHER, wanted
    options = [*known, OTHER]
    if st.session_state.get(KEY) in options:
        view.begin(KEY, options[0])
    chosen = st.selectbox(
        "Model", options, key=KEY, label_visibility="collapsed", persist_state="session",
        format_func=lambda key: _describe(known[key]) if key in known else "Another folder or hub model",
    )  # fmt: skip
    if chosen == OTHER:
        return _draw_other()
    if not known[chosen].ready:
        st.warning(
            "The default model is not on this machine yet: run `python -m engine fetch`.", icon=":material/download:"
        )
        return None
    return str(chosen)


def _draw_other() -> str | None:
    """Ask for a folder or a hub id and look for it; what is found is chosen in the list above."""
    with st.form("sweep:find", border=True):
        name = st.text_input(
            "Folder or hub id", key="sweep:other", placeholder="~/models/mine or Qwen/Qwen2.5-0.5B",
            help="A folder in Hugging Face format with safetensors, or the id of a causal language model on the hub.",
        )  # fmt: skip
        revision = st.text_input("Revision", key="sweep:revision", placeholder="of a hub model: main, a tag, a commit")
        if not st.form_submit_button("Find the model"):
            return None
    try:
        with st.spinner("Reading its files; a hub model is downloaded first."):
            source = trials.find_model(f"{name}@{revision.strip()}" if revision.strip() else name)
    except InputError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return None
    _known.clear()  # type: ignore[attr-defined]
    choose(f"{source.name}@{source.revision}" if source.revision else source.name)
    st.rerun()


@st.cache_data(ttl=30, show_spinner=False)
def _known() -> list[Known]:
    return sources.known()


def _name(row: Known) -> str:
    return f"{row.name}@{row.revision}" if row.revision else row.name


def _describe(row: Known) -> str:
    size = f", {row.parameters / 1e6:,.0f} M parameters" if row.parameters else ""
    origin = {"default": "default", "hub": "from the hub", "folder": "local folder"}[row.origin]
    return f"{row.name} ({origin}{size})"
