"""The frame and a front in it, in a real Chromium."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import place, settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_a_click_on_a_front_opens_the_result(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator(".js-plotly-plot .scatterlayer .points path.point").first).to_be_visible()
    settle(page)
    box = place(page.locator(".js-plotly-plot .scatterlayer .points path.point").first)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url(re.compile("/result\\?trial=[0-9a-f]{16}&from=recorded"))


def test_the_plot_script_is_read_before_there_is_a_chart(page: Page, address: str) -> None:
    page.goto(address + "/runs")
    page.wait_for_function("performance.getEntriesByType('resource').some(read => /PlotlyChart/.test(read.name))")
    expect(page.locator(".js-plotly-plot")).to_have_count(0)


def test_beside_the_sidebar_a_phone_on_its_side_has_pages_and_charts_for_a_narrow_window(
    page: Page, address: str
) -> None:
    page.set_viewport_size({"width": 844, "height": 390})
    page.goto(address)
    subtitle = page.locator(".js-plotly-plot").get_by_text(re.compile(r"^n = [\d,]+ questions$"))
    expect(subtitle).to_be_visible()  # a line of its own, as in a chart for a phone
    settle(page)
    inside = page.get_by_test_id("stMainBlockContainer").evaluate("(main) => main.clientWidth - 2 * 32")
    assert place(page.locator(".js-plotly-plot").first)["width"] > inside - 20
    page.set_viewport_size({"width": 1280, "height": 1400})
    expect(subtitle).to_have_count(0)
