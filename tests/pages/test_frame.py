"""The frame: naming the charts' script, saying so where a page is stale."""

from itertools import count
from pathlib import Path

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from engine.spec import KNOWN_MEASURES
from engine.store import StoreError
from pages.shared import frame, stored
from tests.pages import filling
from tests.pages.conftest import APP
from tests.processes import PATIENCE_S


def test_streamlit_has_the_plot_script_where_the_frame_says() -> None:
    script = Path(streamlit.__file__).parent / "static" / frame.PLOT_SCRIPT
    assert "plotly" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "watched"), [("start", True), ("explore", True), ("new_sweep", False)])
def test_an_open_page_says_where_results_have_come_in(store, monkeypatch: pytest.MonkeyPatch, page, watched):
    times = count()
    monkeypatch.setattr("pages.shared.stored.last_ended", lambda: float(next(times)))
    app = AppTest.from_file(APP, default_timeout=PATIENCE_S)
    app.switch_page(f"pages/{page}.py").run()  # AppTest's later runs leave out the frame
    assert ("stale:show" in [button.key for button in app.button]) == watched


def test_a_look_at_a_store_that_can_not_be_read_meanwhile_is_no_error_on_the_page(store, monkeypatch):
    def last_ended() -> float:
        if next(looks):
            raise StoreError("the database is locked")
        return 0.0

    looks = count()
    monkeypatch.setattr("pages.shared.stored.last_ended", last_ended)
    app = AppTest.from_file(APP, default_timeout=PATIENCE_S).run()
    assert next(looks) == 2
    assert not app.exception


def test_results_come_in_where_a_trial_ends_and_not_where_it_is_asked_for_again(store):
    assert stored.last_ended() == 0.0
    trials = filling.make_trials(["dense", "quantize:rtn,bits=4"])
    filling.fill(store, trials, finish=1)
    before = stored.last_ended()
    assert before > 0.0
    store.submit(trials, KNOWN_MEASURES, "Again")
    assert stored.last_ended() <= before
    filling.fail_one(store, "out of memory")
    assert stored.last_ended() > before
