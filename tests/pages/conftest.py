"""A store of its own for every page test, and the app as a browser would run it."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine.analysis.results import analyse
from engine.outcome.kept import NOTHING_KEPT, Kept
from engine.outcome.row import Row
from engine.recorded import Entry
from engine.store import Store
from engine.typesetting import NO_BREAK
from tests.pages import filling
from tests.processes import PATIENCE_S

APP = Path(__file__).parents[2] / "app.py"
Open = Callable[..., AppTest]


@pytest.fixture
def store(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store that the pages use; no worker is ever started, and nothing is recorded."""
    monkeypatch.setenv("KNEEPOINT_STORE", url)
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("engine.worker.ensure_running", lambda url: True)
    monkeypatch.setattr("engine.running.lane.ensure_running", lambda url: True)
    monkeypatch.setattr("pages.shared.stored.entries", dict)
    monkeypatch.setattr("engine.machine.recorded", lambda: None)
    st.cache_resource.clear()
    st.cache_data.clear()
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def open_page(store: Store) -> Open:
    """Open a page through the frame, with query parameters, and run it without an error."""

    def open_(page: str, **query: str | list[str]) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=PATIENCE_S).run()
        if page != "start":
            app.switch_page(f"pages/{page}.py")
        return run_at(app, **query)

    return open_


@pytest.fixture
def open_result(open_page: Open, store: Store) -> Open:
    """Open Result at the trial of a recipe, with more query parameters where they are given."""

    def open_(recipe: str, **query: str) -> AppTest:
        return open_page("result", trial=filling.trial_of(store, recipe), **query)

    return open_


@pytest.fixture
def record(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Row]]:
    """Have the store's results be the recorded ones as well, with what is given beside them; gives the rows."""

    def record_(
        kept_of: Callable[[str], Kept] = lambda trial_id: NOTHING_KEPT,
        packed_of: Callable[[str], dict[str, str]] = lambda trial_id: {},
    ) -> list[Row]:
        rows = [replace(row, recorded=True) for row in analyse(store.rows(), store.items)]
        found = {row.trial_id: Entry(row, kept_of(row.trial_id), packed_of(row.trial_id)) for row in rows}
        monkeypatch.setattr("pages.shared.stored.entries", lambda: found)
        return rows

    return record_


@pytest.fixture
def to_read(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
    """Have the file and its folder refuse to be written from here on, and every worker stay away."""

    def refused(url: str) -> bool:
        raise AssertionError("a worker was started for a store that can't be written")

    def to_read_() -> Store:
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        monkeypatch.setattr("engine.worker.ensure_running", refused)
        monkeypatch.setattr("engine.running.lane.ensure_running", refused)
        st.cache_resource.clear()
        return store

    return to_read_


def run_at(app: AppTest, **query: str | list[str]) -> AppTest:
    """Run an app at an address with these query parameters, without an error."""
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    """All the HTML and text on the page, with usual spaces before units."""
    blocks = [*app.get("html"), *app.get("markdown"), *app.get("alert"), *app.get("caption")]
    return "\n".join(str(getattr(block.proto, "body", "")) for block in blocks).replace(NO_BREAK, " ")


def pictures(app: AppTest) -> dict[str, dict[str, Any]]:
    """What the moving pictures on the page were sent, by their names."""
    blocks = {block.proto.component_name: json.loads(block.proto.json or "{}") for block in app.get("bidi_component")}
    return {name.removeprefix("kneepoint_"): sent[0] for name, sent in blocks.items() if isinstance(sent, list)}


def downloads(app: AppTest) -> list[str]:
    """What the page offers to take along."""
    return [block.proto.label for block in app.get("download_button")]
