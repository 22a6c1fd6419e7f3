"""One journey through the dashboard in a real Chromium, with the real engine and the default model.

From a lesson to a sweep of two trials, its progress, its front, two results compared, their live texts and the report;
a second browser sees the sweep appear, run and end. A point's address then opens on a fresh server.
"""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine.store.lock import holder
from tests.browser.conftest import MINUTE, place, serving, settle

pytestmark = [pytest.mark.browser, pytest.mark.fetched, pytest.mark.timeout(1800)]


@pytest.fixture
def url(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store of its own; the worker that the dashboard starts for it is stopped at the end."""
    monkeypatch.setenv("KNEEPOINT_STORE", url)
    yield url
    worker = holder(url)
    if worker:
        os.kill(worker, signal.SIGTERM)


@pytest.fixture
def beside(page: Page) -> Iterator[Page]:
    """A page of another browser: it shares nothing with the first."""
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context()
    context.set_default_timeout(MINUTE)
    yield context.new_page()
    context.close()


def test_from_a_lesson_to_a_report_and_a_shared_point(page: Page, beside: Page, url: str, tmp_path: Path) -> None:
    with serving() as address:
        beside.goto(f"{address}/runs")
        expect(beside.get_by_text("Nothing has been measured here yet")).to_be_visible()
        page.goto(f"{address}/quantize")
        page.get_by_role("link", name="Try it: 4-bit").click()
        launch(page)
        watch(page, beside)
        chosen, words = choose_a_point(page)
        compare(page)
        generate(page)
        take_the_report(page, tmp_path)
    with serving() as fresh:
        page.goto(fresh + chosen)
        expect(page.get_by_test_id("stSidebarNav")).to_be_visible()
        expect(page.locator(".st-key-explore-panel .kp-head")).to_have_text(words)
        expect(page.locator(".js-plotly-plot")).to_be_visible()


def launch(page: Page) -> None:
    """Few questions, nothing of what takes long, and go."""
    expect(page.get_by_role("button", name="Launch 2 trials")).to_be_visible()
    items = page.get_by_role("spinbutton", name="Items of each task")
    items.fill("5")
    items.press("Enter")
    for measure in ("Speed", "Peak memory", "Perplexity"):
        page.get_by_role("button", name=measure, exact=True).click()
    expect(items).to_have_value("5")
    expect(page.get_by_text(re.compile("a first guess"))).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Launch 2 trials").click()


def watch(page: Page, beside: Page) -> None:
    """The stages pass by in both browsers without a reload, until both trials have ended."""
    for reader in (page, beside):
        stage = reader.get_by_text(re.compile("^(Starting|Loading|Compressing|Counting|Answering)")).first
        expect(stage).to_be_visible()
    for reader in (page, beside):
        expect(reader.get_by_text("2 of 2 trials ended")).to_be_visible(timeout=10 * MINUTE)


def choose_a_point(page: Page) -> tuple[str, str]:
    """Open the front and click a point; the address that this leads to, and the panel's headline."""
    page.get_by_role("link", name="Open in Explore").click()
    page.wait_for_url(re.compile("/explore"))
    mark = page.locator(".js-plotly-plot .scatterlayer .points path.point").first
    expect(mark).to_be_visible()
    settle(page)
    box = place(mark)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("link", name="All details")).to_be_visible()
    page.wait_for_url(re.compile("trial=[0-9a-f]{16}"))
    words = page.locator(".st-key-explore-panel .kp-head").inner_text()
    return page.url[page.url.index("/explore") :], words


def compare(page: Page) -> None:
    """Put the chosen point into the tray, and beside it the other result."""
    page.get_by_role("button", name="Add to compare").click()
    page.get_by_role("link", name="Open Compare").click()
    more = page.get_by_role("combobox", name="Add another")
    expect(more).to_be_visible()
    settle(page)
    more.click()
    page.get_by_role("option").first.click()
    expect(page.locator(".kp-side thead .kp-letter")).to_have_count(2)
    settle(page)


def generate(page: Page) -> None:
    """Both models answer one prompt, live, until each says how many tokens it wrote."""
    page.get_by_role("radio", name="32", exact=True).click()
    page.get_by_role("button", name="Generate").click()
    ended = page.locator(".kp-live .kp-writer").filter(has_text=re.compile("tokens, (as many as|then it ended)"))
    expect(ended).to_have_count(2, timeout=10 * MINUTE)
    assert all(text.strip() for text in page.locator(".kp-live .kp-wrote").all_inner_texts())


def take_the_report(page: Page, folder: Path) -> None:
    """Present what was measured, and take it along as a file that opens without a server."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Present").click()
    report = page.get_by_role("button", name="Download the report")
    expect(report).to_be_visible()
    settle(page)
    with page.expect_download() as download:
        report.click()
    download.value.save_as(folder / "report.html")
    page.goto((folder / "report.html").as_uri())
    expect(page.locator(".js-plotly-plot .scatterlayer .points path.point").first).to_be_visible()
    expect(page.get_by_text("4-bit, round to nearest").first).to_be_visible()
