"""What pages ask of the lane (`engine.running.lane`): that it runs, and what it shall compress again."""

import streamlit as st

from engine import paths
from engine.outcome.row import Row
from engine.running import lane
from engine.spec import Protocol, Trial, parse
from engine.trials import make_unmeasured, unmeasured
from pages.shared import markup, stored

WAKE_S = 10.0


def trial(row: Row) -> Trial:
    """What to compress again; of a recorded result as far as this machine has its model, else raises InputError."""
    if row.recorded:
        return make_unmeasured(row.model, parse(row.recipe), Protocol.from_dict(row.protocol))
    return unmeasured(stored.store().trial(row.trial_id))


def wake() -> bool:
    """See that a lane runs, with a look every WAKE_S; where none can be started, say why and return False.

    Of a store that can only be read the page says so.
    """
    if stored.store().read_only:
        return False
    try:
        _wake(paths.store_url())
    except OSError as error:
        st.error(markup.plain(f"can't start the process that writes: {error.strerror}"), icon=":material/error:")
        return False
    return True


def look_again() -> None:
    """Have the next `wake` look at once: something was asked for."""
    _wake.clear()


@st.cache_resource(show_spinner=False, ttl=WAKE_S)
def _wake(url: str) -> None:
    lane.ensure_running(url)
