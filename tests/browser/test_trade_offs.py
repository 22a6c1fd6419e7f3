"""Trade-offs in a real Chromium: the front answers while its line is dragged, and the address keeps where it ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine import machine
from engine.store import Store
from tests.browser.conftest import place, serving, settle
from tests.pages import filling
from tests.test_machine import LIMITS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def lessons(page: Page, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """The page on a store of invented results and a machine of invented limits."""
    monkeypatch.setenv("KNEEPOINT_STORE", url)
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    machine.write(LIMITS, machine.kept_path())
    store = Store(url)
    filling.fill(store, filling.make_trials())
    store.close()
    page.set_viewport_size({"width": 1280, "height": 1400})
    with serving() as address:
        page.goto(f"{address}/trade_offs?look=limit")
        expect(page.locator(".kp-handle")).to_be_visible()
        settle(page)
        yield page


def test_the_line_answers_while_it_is_dragged_and_stays_where_it_was_left(lessons: Page) -> None:
    box = place(lessons.locator(".kp-handle"))
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    lessons.mouse.move(x, y)
    lessons.mouse.down()
    lessons.mouse.move(x, y - 400, steps=5)
    expect(lessons.get_by_text("nothing here is that good").first).to_be_visible()
    assert "limit=" not in lessons.url.replace("look=limit", "")
    lessons.mouse.up()
    lessons.wait_for_url("**look=limit&limit=1**")
    lessons.get_by_role("button", name="8-bit (").first.press("Enter")
    lessons.wait_for_url("**point=**")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_name_of_what_is_ringed_covers_no_other_result(lessons: Page, width: int) -> None:
    lessons.set_viewport_size({"width": width, "height": 1400})
    settle(lessons)
    for look in ("The knee", "My limit"):
        lessons.get_by_role("group", name="Look at").get_by_text(look, exact=True).click()
        expect(lessons.get_by_role("radio", name=look)).to_be_checked()
        for share in (0.0, 0.3, 0.5, 0.6) if look == "My limit" else (0.0,):
            if look == "My limit":
                lessons.get_by_role("slider", name="I need at least").fill(str(share))
            expect(lessons.locator(".kp-chosen")).to_be_visible()
            assert lessons.locator(".kp-tag").evaluate(_COVERED) == []
    if width == 1440:
        expect(lessons.locator(".kp-tag")).not_to_be_empty()


_COVERED = """(named) => {
  const tag = named.getBoundingClientRect(), root = named.getRootNode();
  const ring = root.querySelector(".kp-chosen").getBoundingClientRect();
  const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
  const inside = (a) => ring.left < a.left && a.right < ring.right && ring.top < a.top && a.bottom < ring.bottom;
  return [...root.querySelectorAll(".kp-point")].filter((mark) => {
    const body = mark.querySelector("path").getBoundingClientRect();
    return !inside(body) && !apart(tag, body);
  }).map((mark) => mark.getAttribute("aria-label"));
}"""


def test_more_sequences_at_once_wait_for_the_arithmetic(lessons: Page) -> None:
    slider = lessons.get_by_role("slider", name="Sequences at once (batch)")
    expect(lessons.get_by_text("Memory decides").first).to_be_visible()
    marks = lessons.locator(".kp-cross").evaluate_all("(marks) => marks.map((mark) => mark.getAttribute('d'))")
    shapes = {"".join(filter(str.isalpha, mark)) for mark in marks}
    assert len(marks) == len(shapes) == 3, "what was measured of each format has a shape of its own"
    for _ in range(6):
        slider.press("ArrowRight")
    expect(lessons.get_by_text("Arithmetic decides").first).to_be_visible()
    lessons.wait_for_url("**batch=6**")
