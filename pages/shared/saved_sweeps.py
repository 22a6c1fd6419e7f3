"""Saved sweeps on a page: open one that somebody sent, save one's own to a file, close one again."""

from collections.abc import Mapping
from functools import partial

import streamlit as st

from engine.errors import InputError
from engine.store import saved, shelf
from pages.shared import markup, stored, view
from pages.shared.stored import Group
from pages.shared.view import Value

_REFUSED = "saved_sweeps|refused"
_CHANGED = "saved_sweeps|changed"


def draw(page: str, found: Mapping[str, Group]) -> None:
    """A popover that opens and saves sweeps; the page's value `of`, restored before, names the group it shows.

    Draw it before what shows `found`: where a sweep was opened or closed it runs the page again, also from a fragment.
    """
    if st.session_state.pop(_CHANGED, False):
        st.rerun()
    draw_absent(page, found)
    upload = f"{page}:open_saved"
    with st.popover("Saved sweeps", icon=":material/folder_open:"):
        kinds = [saved.SUFFIX.removeprefix(".")]
        st.file_uploader(
            "Open a saved sweep", type=kinds, key=upload, on_change=partial(_open, page, upload),
            help="A file that “Save these results” or `python -m engine save` wrote. It is only read.",
        )  # fmt: skip
        if refused := st.session_state.get(_REFUSED):
            st.error(markup.plain(refused), icon=":material/error:")
        shown = found.get(str(st.session_state.get(view.key(page, "of"), "")))
        if shown is None:
            return
        if shown.origin == "mine":
            st.download_button(
                "Save these results to a file",
                partial(saved.content, stored.store(), comparison=shown.comparison.id),
                f"kneepoint-{shown.comparison.id}{saved.SUFFIX}",
                "application/octet-stream",
                key=f"{page}:save",
                on_click="ignore",
                help="Results, answers, protocol and machine in one file, which opens elsewhere without any model.",
            )
        elif shown.origin == "saved":
            st.button("Close this saved sweep", key=f"{page}:close_saved", on_click=partial(_close, shown.sweep))


def draw_absent(page: str, found: Mapping[str, Group]) -> None:
    """Say so where the link names results that can't be shown."""
    gone = view.unread(page, "of", Value("", allowed=tuple(found)))
    if not gone:
        return
    if gone[0].startswith("saved-"):
        st.info("The link shows a saved sweep that was not opened here. Open its file under “Saved sweeps” in Explore.")
    else:
        st.info("The results that the link names are not on this machine, or lack the original: others are shown.")


def _open(page: str, upload: str) -> None:
    """Open the file that was chosen, and show the first of its groups."""
    st.session_state.pop(_REFUSED, None)
    given = st.session_state[upload]
    if given is None:
        return
    try:
        name = shelf.put(given.getvalue(), given.name)
    except (InputError, OSError) as error:
        st.session_state[_REFUSED] = str(error)
        return
    group = next((group for group in stored.groups() if group.sweep == name), None)
    if group is None:
        st.session_state[_REFUSED] = f"{given.name} holds no finished result"
    else:
        st.session_state[view.key(page, "of")] = group.key
        st.session_state[_CHANGED] = True


def _close(name: str) -> None:
    shelf.drop(name)
    st.session_state[_CHANGED] = True
