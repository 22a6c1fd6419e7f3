"""One journey through the dashboard in a real Chromium, with the real engine and the default model.

Submit a sweep of two trials, see its progress, open the front, click a point, and open that address on a fresh server.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from engine.lock import holder

pytestmark = [pytest.mark.browser, pytest.mark.fetched, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SWEEP = "/new_sweep?recipe=quantize:rtn,bits%3D4&limit=5"
SECOND, MINUTE = 1_000, 60_000


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store of its own; the worker that the dashboard starts for it is stopped at the end."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("KNEEPOINT_STORE", url)
    yield url
    worker = holder(url)
    if worker:
        os.kill(worker, signal.SIGTERM)


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.set_default_timeout(30 * SECOND)
        yield page
        browser.close()


@contextmanager
def serving() -> Iterator[str]:
    """A fresh server of the dashboard; its address."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://localhost:{port}/_stcore/health")
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait(20)


def wait_for(address: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"{address} did not answer within {seconds:.0f} s")


def test_from_a_sweep_to_a_shared_point(page: Page, url: str) -> None:
    with serving() as address:
        launch(page, address)
        watch(page)
        chosen, words = choose_a_point(page)
    with serving() as fresh:
        page.goto(fresh + chosen)
        expect(page.get_by_test_id("stSidebarNav")).to_be_visible(timeout=MINUTE)
        expect(page.locator(".st-key-explore-panel .kp-head")).to_have_text(words, timeout=MINUTE)
        expect(page.locator(".js-plotly-plot")).to_be_visible(timeout=MINUTE)


def launch(page: Page, address: str) -> None:
    """Fill in the form from a link, leave out what takes long, and launch."""
    page.goto(address + SWEEP)
    expect(page.get_by_role("button", name="Launch 2 trials")).to_be_visible(timeout=MINUTE)
    for measure in ("Speed", "Peak memory", "Perplexity"):
        page.get_by_role("button", name=measure, exact=True).click()
    expect(page.get_by_text(re.compile("a first guess"))).to_be_visible()
    page.get_by_role("button", name="Launch 2 trials").click()


def watch(page: Page) -> None:
    """The stages pass by without a reload, until both trials have ended."""
    stage = page.get_by_text(re.compile("^(Starting|Loading|Compressing|Counting|Answering)")).first
    expect(stage).to_be_visible(timeout=MINUTE)
    expect(page.get_by_text("2 of 2 trials ended")).to_be_visible(timeout=5 * MINUTE)


def choose_a_point(page: Page) -> tuple[str, str]:
    """Open the front and click a point; the address that this leads to, and the panel's headline."""
    page.get_by_role("link", name="Open in Explore").click()
    page.wait_for_url(re.compile("/explore"))
    mark = page.locator(".js-plotly-plot .scatterlayer .points path.point").first
    expect(mark).to_be_visible(timeout=MINUTE)
    box = mark.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("link", name="All details")).to_be_visible()
    page.wait_for_url(re.compile("trial=[0-9a-f]{16}"))
    words = page.locator(".st-key-explore-panel .kp-head").inner_text()
    return page.url[page.url.index("/explore") :], words
