"""Trade-offs in a real Chromium: the front answers while its line is dragged, and the address keeps where it ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from engine import machine
from engine.store import Store
from tests.browser.test_journey import CHROMIUM, MINUTE, QUIET, serving
from tests.pages import filling
from tests.test_machine import LIMITS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """The page on a store of invented results and a machine of invented limits."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("KNEEPOINT_STORE", url)
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    machine.write(LIMITS, machine.kept_path())
    store = Store(url)
    filling.fill(store, filling.make_trials())
    store.close()
    with sync_playwright() as playwright, serving() as address:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        opened = browser.new_page(viewport={"width": 1280, "height": 1400})
        opened.goto(f"{address}/trade_offs?look=limit")
        expect(opened.locator(".kp-handle")).to_be_visible(timeout=MINUTE)
        yield opened
        browser.close()


def test_the_line_answers_while_it_is_dragged_and_stays_where_it_was_left(page: Page) -> None:
    box = page.locator(".kp-handle").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 400, steps=5)
    expect(page.get_by_text("nothing here is that good").first).to_be_visible()
    assert "limit=" not in page.url.replace("look=limit", "")
    page.mouse.up()
    page.wait_for_url("**look=limit&limit=1**")
    page.get_by_role("button", name="8-bit (").first.press("Enter")
    page.wait_for_url("**point=**")


def test_more_sequences_at_once_wait_for_the_arithmetic(page: Page) -> None:
    slider = page.get_by_role("slider", name="Sequences at once (batch)")
    expect(page.get_by_text("Memory decides").first).to_be_visible()
    for _ in range(6):
        slider.press("ArrowRight")
    expect(page.get_by_text("Arithmetic decides").first).to_be_visible()
    page.wait_for_url("**batch=6**")
