"""Pages in a real Chromium, in windows of several widths: nothing stands empty, is cut off or loses the keyboard."""

import pytest
from playwright.sync_api import Page, expect

from engine.front import find_front
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
