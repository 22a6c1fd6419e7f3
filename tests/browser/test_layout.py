"""Pages in a real Chromium, in windows of several widths: nothing stands empty, is cut off or loses the keyboard."""

import re

import pytest
from playwright.sync_api import Page, expect

from engine.analysis.front import find_front
from engine.recorded import recorded
from tests.browser.conftest import place, settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def window(page: Page):
    """The page, given its usual size back in the end."""
    usual = page.viewport_size
    yield page
    assert usual is not None
    page.set_viewport_size(usual)


def knee() -> str:
    found = find_front(recorded()).knee
    assert found is not None
    return found.row.trial_id


@pytest.mark.parametrize("width", [1280, 1440])
def test_what_stands_beside_the_front_is_no_higher_than_it(window: Page, address: str, width: int) -> None:
    window.set_viewport_size({"width": width, "height": 900})
    window.goto(f"{address}/explore?trial={knee()}")
    expect(window.get_by_role("button", name="Add to compare")).to_be_visible()
    settle(window)
    chart, panel = (place(window.locator(css)) for css in (".js-plotly-plot", ".st-key-explore-panel"))
    assert panel["x"] > chart["x"] + chart["width"]
    assert panel["height"] < chart["height"] + 120


_OVER = """() => {
  const box = (node) => [node.textContent, node.getBoundingClientRect()];
  const boxes = (css) => [...document.querySelectorAll(`.js-plotly-plot ${css}`)].map(box);
  const over = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left))
    * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const texts = boxes(".annotation-text"), points = boxes("path.point");
  const names = texts.filter(([words]) => /^(original|guessing)/.test(words));
  const pairs = names.flatMap((one) => points.map((point) => [one, point]));
  texts.forEach((one, n) => pairs.push(...texts.slice(n + 1).map((other) => [one, other])));
  return pairs.map(([one, other]) => [one[0], other[0], over(one[1], other[1])]).filter(([, , area]) => area > 10);
}"""


@pytest.mark.parametrize("width", [1024, 1280])
@pytest.mark.parametrize("axes", ["size-quality", "speed-quality", "memory-quality"])
def test_no_label_of_a_chart_for_a_room_covers_another_or_a_point(
    window: Page, address: str, axes: str, width: int
) -> None:
    window.set_viewport_size({"width": width, "height": 900})
    window.goto(f"{address}/present?axes={axes}")
    expect(window.locator(".js-plotly-plot .annotation-text").first).to_be_visible()
    settle(window)
    assert window.evaluate(_OVER) == []


_HINTED = """() => [...document.querySelectorAll(".kp-scroll")]
  .filter((box) => !box.closest("details:not([open])"))
  .map((box) => [box.scrollWidth > box.clientWidth, parseFloat(getComputedStyle(box, "::after").height) > 10])"""


def test_a_table_says_that_it_scrolls_sideways_where_it_does(window: Page, address: str) -> None:
    found = set()
    for width in (390, 1280):
        window.set_viewport_size({"width": width, "height": 900})
        for path in ("present", f"result?trial={knee()}"):
            window.goto(f"{address}/{path}")
            expect(window.locator(".kp-scroll:visible").first).to_be_visible()
            settle(window)
            window.wait_for_function(f"({_HINTED})().every(([over, hinted]) => over === hinted)")
            found |= {tuple(box) for box in window.evaluate(_HINTED)}
    assert found == {(True, True), (False, False)}


def test_the_button_of_the_tray_keeps_the_keyboards_focus(window: Page, address: str) -> None:
    window.goto(f"{address}/explore?trial={knee()}")
    expect(window.get_by_role("button", name="Add to compare")).to_be_visible()
    settle(window)
    window.get_by_role("button", name="Add to compare").focus()
    for pressed, then in (("Add to compare", "Remove from compare"), ("Remove from compare", "Add to compare")):
        expect(window.get_by_role("button", name=pressed)).to_be_focused()
        settle(window)
        window.keyboard.press("Enter")
        expect(window.get_by_role("button", name=then)).to_be_focused()


def test_what_is_closed_or_taken_away_hands_the_keyboards_focus_on(window: Page, address: str) -> None:
    found = find_front(recorded())
    chosen = [row.trial_id for row in found.best[:3]]
    tray = ",".join(f"recorded-{trial}" for trial in chosen)
    window.goto(f"{address}/explore?trial={knee()}&trials={tray}")
    held = window.locator(".st-key-tray").get_by_role("button")
    expect(held).to_have_count(3)
    settle(window)
    second = held.nth(1).inner_text()
    held.first.focus()
    window.keyboard.press("Enter")
    expect(held).to_have_count(2)
    expect(held.first).to_be_focused()
    assert held.first.inner_text() == second
    window.get_by_role("button", name="Close").focus()
    window.keyboard.press("Enter")
    expect(window.get_by_role("button", name="Look at the knee")).to_be_focused()
    window.goto(f"{address}/compare?trials={tray}")
    expect(window.get_by_role("button", name="Remove")).to_have_count(3)
    settle(window)
    window.get_by_role("button", name="Remove").nth(1).focus()
    window.keyboard.press("Enter")
    expect(window.get_by_role("button", name="Remove")).to_have_count(2)
    expect(window.get_by_role("button", name="Remove").nth(1)).to_be_focused()


def test_a_slider_keeps_every_step_of_the_keyboard_and_the_back_button_goes_back(window: Page, address: str) -> None:
    window.goto(f"{address}/explore")
    settle(window)
    largest = window.get_by_role("slider", name="At most this large")
    largest.focus()
    for _ in range(8):
        window.keyboard.press("ArrowLeft")
        window.wait_for_timeout(80)
    window.wait_for_url(re.compile(r"\bmost=262\b"))
    settle(window)
    assert "most=262" in window.url
    window.get_by_role("radio", name="Perplexity", exact=True).click()
    window.wait_for_url("**quality=perplexity**")
    window.go_back()
    window.wait_for_url(lambda url: "most=262" in url and "quality" not in url)
    settle(window)
    assert "quality" not in window.url
