"""The compare tray: what it holds, in which order, and what a page shows of it."""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.shared import tray, view
from tests.made_rows import row
from tests.pages import filling
from tests.pages.conftest import run_at
from tests.processes import PATIENCE_S

SCRIPT = """
from pages.shared import stored, tray, view
values = {"trials": tray.VALUE, "row": view.Value("")}
row = stored.find(view.restore("test", values)["row"])
if row is not None:
    tray.draw_button(row)
tray.draw_held()
view.keep("test", values)
"""


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    state: dict[str, object] = {}
    monkeypatch.setattr(st, "session_state", state)
    return state


@pytest.fixture
def run_tray(store, tmp_path: Path):
    """Run a page that holds nothing but the tray."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "compare.py").touch()
    (tmp_path / "app.py").write_text(SCRIPT)

    def run(**query: str) -> AppTest:
        return run_at(AppTest.from_file(tmp_path / "app.py", default_timeout=PATIENCE_S), **query)

    return run


def labels(app: AppTest) -> list[str]:
    return [button.label.replace("\\", "") for button in app.button]


def test_it_keeps_an_order_and_each_result_once(session) -> None:
    for name in ("a1", "b2", "c3", "b2"):
        tray.add(name)
    assert tray.tokens() == ["a1", "b2", "c3"]
    tray.move("c3", -1)
    assert tray.tokens() == ["a1", "c3", "b2"]
    tray.move("a1", -1)
    tray.move("a1", 9)
    assert tray.tokens() == ["c3", "b2", "a1"]
    tray.remove("b2")
    assert tray.tokens() == ["c3", "a1"]
    assert tray.query() == {"trials": "c3,a1"}


def test_nonsense_and_a_fifth_result_are_left_out(session) -> None:
    session[view.key(view.SHARED, "trials")] = "a,<script>,recorded-b,,c d,c,d,e"
    assert tray.tokens() == ["a", "recorded-b", "c", "d"]


def test_a_recorded_result_is_told_from_the_same_one_measured_here() -> None:
    assert tray.token(row(trial="a1")) == "a1"
    assert tray.token(row(trial="a1", recorded=True)) == "recorded-a1"


def test_an_empty_tray_shows_nothing(run_tray) -> None:
    app = run_tray()
    assert not app.button
    assert not app.get("page_link")


def test_a_result_is_put_in_and_taken_out_and_the_address_follows(run_tray, store) -> None:
    filling.fill(store, filling.make_trials())
    first = store.rows()[0].trial_id
    app = run_tray(row=first)
    assert labels(app) == ["Add to compare"]
    app.button(key="tray:toggle").click().run()
    assert labels(app) == ["Remove from compare", "★ Original"]
    assert app.query_params["trials"] == first
    app.button(key=f"tray:{first}").click().run()
    assert labels(app) == ["Add to compare"]
    assert "trials" not in app.query_params


def test_a_full_tray_takes_no_more(run_tray, store) -> None:
    filling.fill(store, filling.make_trials())
    ids = [one.trial_id for one in store.rows()]
    app = run_tray(trials=",".join(ids[:4]), row=ids[4])
    assert app.button(key="tray:toggle").disabled
    assert len(app.button) == 5


def test_a_trial_without_a_result_is_not_offered(run_tray, store) -> None:
    filling.fill(store, filling.make_trials(), finish=1)
    waiting = next(one.trial_id for one in store.rows() if one.state == "queued")
    assert not run_tray(row=waiting).button


def test_a_link_that_names_no_tray_leaves_it(run_tray, store) -> None:
    filling.fill(store, filling.make_trials())
    first, second = (one.trial_id for one in store.rows()[:2])
    app = run_tray(trials=first)
    app.query_params.clear()
    app.query_params["row"] = second
    app.run()
    assert labels(app) == ["Add to compare", "★ Original"]
    assert app.query_params["trials"] == first
