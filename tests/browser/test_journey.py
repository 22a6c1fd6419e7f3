"""One journey through the dashboard in a real Chromium, with the real engine and the default model.

Submit a sweep of two trials, see its progress, open the front, click a point, and open that address on a fresh server.
"""

import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from engine.lock import holder
from tests.browser.conftest import MINUTE, place, serving

pytestmark = [pytest.mark.browser, pytest.mark.fetched, pytest.mark.timeout(900)]

SWEEP = "/new_sweep?recipe=quantize:rtn,bits%3D4&limit=5"


@pytest.fixture
def url(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store of its own; the worker that the dashboard starts for it is stopped at the end."""
    monkeypatch.setenv("KNEEPOINT_STORE", url)
    yield url
    worker = holder(url)
    if worker:
        os.kill(worker, signal.SIGTERM)


def test_from_a_sweep_to_a_shared_point(page: Page, url: str) -> None:
    with serving() as address:
        launch(page, address)
        watch(page)
        chosen, words = choose_a_point(page)
    with serving() as fresh:
        page.goto(fresh + chosen)
        expect(page.get_by_test_id("stSidebarNav")).to_be_visible()
        expect(page.locator(".st-key-explore-panel .kp-head")).to_have_text(words)
        expect(page.locator(".js-plotly-plot")).to_be_visible()


def launch(page: Page, address: str) -> None:
    """Fill in the form from a link, leave out what takes long, and launch."""
    page.goto(address + SWEEP)
    expect(page.get_by_role("button", name="Launch 2 trials")).to_be_visible()
    for measure in ("Speed", "Peak memory", "Perplexity"):
        page.get_by_role("button", name=measure, exact=True).click()
    expect(page.get_by_text(re.compile("a first guess"))).to_be_visible()
    page.get_by_role("button", name="Launch 2 trials").click()


def watch(page: Page) -> None:
    """The stages pass by without a reload, until both trials have ended."""
    stage = page.get_by_text(re.compile("^(Starting|Loading|Compressing|Counting|Answering)")).first
    expect(stage).to_be_visible()
    expect(page.get_by_text("2 of 2 trials ended")).to_be_visible(timeout=5 * MINUTE)


def choose_a_point(page: Page) -> tuple[str, str]:
    """Open the front and click a point; the address that this leads to, and the panel's headline."""
    page.get_by_role("link", name="Open in Explore").click()
    page.wait_for_url(re.compile("/explore"))
    mark = page.locator(".js-plotly-plot .scatterlayer .points path.point").first
    expect(mark).to_be_visible()
    box = place(mark)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("link", name="All details")).to_be_visible()
    page.wait_for_url(re.compile("trial=[0-9a-f]{16}"))
    words = page.locator(".st-key-explore-panel .kp-head").inner_text()
    return page.url[page.url.index("/explore") :], words
