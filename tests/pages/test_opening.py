"""The server's start: whatever pages import is imported and read before the first visitor comes."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import streamlit as st

from engine.analysis.front import telling_quality
from engine.errors import InputError
from pages.shared import opening, stored
from tests.pages import filling
from tests.pages.probe import ROOT, probed
from tests.processes import PATIENCE_S

OURS = ("engine", "pages", "httpx2", "jinja2", "pandas", "sqlalchemy")
PROBE = """
import asyncio, json, sys, threading
from streamlit.testing.v1 import AppTest
from pages.shared import opening

async def start():
    async with opening.ready(None):
        for reading in threading.enumerate()[1:]:
            reading.join()
        return set(sys.modules)

ready = asyncio.run(start())
app = AppTest.from_file(sys.argv[1], default_timeout=60).run()
for page in sys.argv[2:]:
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, (page, app.exception)
print(json.dumps(sorted(set(sys.modules) - ready)))
"""


def test_the_server_runs_what_stands_here_before_it_answers() -> None:
    probe = "import app, streamlit; assert isinstance(app.app, streamlit.App)"
    subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=True, timeout=PATIENCE_S)


def test_pages_import_nothing_of_weight_that_the_server_has_not(url: str, tmp_path: Path) -> None:
    pages = [path.stem for path in (ROOT / "pages").glob("*.py") if path.stem not in ("__init__", "start")]
    late = probed(PROBE, url, tmp_path, *pages)
    assert [name for name in late if name.partition(".")[0] in OURS] == []


def test_the_results_are_read_and_their_front_found_before_a_page_asks(store, monkeypatch: pytest.MonkeyPatch) -> None:
    filling.fill(store, filling.make_trials())
    stored.read_ahead()
    monkeypatch.setattr("pages.shared.stored.analyse", None)  # were it called once more, it would fail
    monkeypatch.setattr("pages.shared.stored.find_front", None)
    (group,) = stored.groups()
    quality = telling_quality(group.rows, group.comparison.id)
    assert stored.front_of(group.rows, "weight_bytes", quality, group.comparison.id).points


def test_a_store_that_can_not_be_opened_does_not_keep_the_server_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str) -> None:
        raise InputError(f"{url} is no store")

    monkeypatch.setattr("pages.shared.stored._open", fail)
    stored.read_ahead()


@pytest.mark.parametrize(("headless", "opened"), [(False, ["http://localhost:8599/"]), (True, [])])
def test_the_server_opens_the_readers_browser_unless_told_not_to(store, monkeypatch, headless, opened) -> None:
    options = {"server.headless": headless, "server.port": 8599, "server.address": "0.0.0.0", "server.baseUrlPath": ""}
    seen: list[str] = []
    done = threading.Event()
    monkeypatch.setattr(st, "get_option", options.__getitem__)
    monkeypatch.setattr("webbrowser.open", lambda url: (seen.append(url), done.set()))

    async def start() -> None:
        async with opening.ready(None):
            await asyncio.to_thread(done.wait, PATIENCE_S if opened else 2 * opening.ANSWERING_S)

    asyncio.run(start())
    assert seen == opened
