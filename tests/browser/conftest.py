"""A real Chromium, and a fresh server of the dashboard. What is expected has a minute to appear: machines are slow."""

import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect, sync_playwright

from tests.processes import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("[a-z]*.py"))
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
MINUTE = 60_000  # ms
expect.set_options(timeout=MINUTE)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET), timeout=2 * MINUTE)
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.set_default_timeout(MINUTE)
        yield page
        browser.close()


@contextmanager
def serving() -> Iterator[str]:
    """A fresh server of the dashboard; its address."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        health = f"http://localhost:{port}/_stcore/health"
        wait_until(lambda: server.poll() is not None or _answers(health), 3 * PATIENCE_S)
        assert server.poll() is None, f"the server ended with {server.returncode}"
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def address(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a fresh server whose store is empty."""
    monkeypatch.setenv("KNEEPOINT_STORE", url)
    with serving() as started:
        yield started


def addresses(original: str, chosen: str) -> dict[str, str]:
    """Where every page is, by its name; those that show single results show the trials of these ids."""
    asks = {
        "explore": f"?trial={chosen}",
        "compare": f"?trials={original},{chosen}",
        "result": f"?trial={chosen}",
    }
    return {name: f"/{'' if name == 'start' else name}{asks.get(name, '')}" for name in PAGES}


def settle(page: Page) -> None:
    """Wait until the page has run, its charts are drawn, and nothing of it has moved for a while."""
    expect(page.locator("h1")).to_be_visible()
    page.evaluate("delete window.kpSeen")
    page.wait_for_function(_SETTLED, arg=STILL_MS)


STILL_MS = 500
_SETTLED = """(still) => {
  const app = document.querySelector("[data-testid=stApp]"), main = document.querySelector("[data-testid=stMain]");
  const charts = [...document.querySelectorAll("[data-testid=stPlotlyChart]")]
    .map((one) => one.querySelector(".main-svg"));
  const drawn = main && app.dataset.testScriptState === "notRunning" && charts.every(Boolean)
    && !document.querySelector("[data-testid=stSkeleton]") && document.fonts.status === "loaded";
  const boxes = charts.map((chart) => chart?.getBoundingClientRect());
  const look = drawn ? JSON.stringify([innerWidth, main.scrollHeight, boxes]) : "";
  if (window.kpSeen?.look !== look) window.kpSeen = { look, since: performance.now(), frames: 0 };
  window.kpSeen.frames += 1;  // a busy browser lets time pass without drawing
  return look !== "" && window.kpSeen.frames > 10 && performance.now() - window.kpSeen.since > still;
}"""


def place(part: Locator) -> FloatRect:
    """Where a part of the page lies, once it no longer moves."""
    part.scroll_into_view_if_needed()
    before, box = None, part.bounding_box()
    while box is None or box != before:
        part.page.wait_for_timeout(200)
        before, box = box, part.bounding_box()
    return box


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True
