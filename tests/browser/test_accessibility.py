"""Every page in a real Chromium, judged by axe: no serious violation that is ours. And what the keyboard reaches."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from engine import machine
from engine.spec import MEASURES
from engine.store import Store
from tests.browser.conftest import PAGES, addresses, serving, settle
from tests.pages import filling
from tests.test_machine import LIMITS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SERIOUS = ("serious", "critical")
TRIALS = [trial.id for trial in filling.make_trials(["dense", "quantize:rtn,bits=4"])]
# (rule, the part of the page it is broken in) -> why it is not ours to mend.
STREAMLITS = {
    ("list", "stSidebarNavItems"): "the sidebar's sections are headings and lists straight in a list",
    ("listitem", "stSidebarNavItems"): "and their items lie in plain boxes",
}
MAIN = {  # what a page is for, by role and name
    "start": ("slider", "My memory budget"),
    "quantize": ("slider", "Bits a weight"),
    "runs": ("button", "Retry"),
    "explore": ("button", "Add to compare"),
    "compare": ("button", "Generate"),
    "present": ("button", "Download the report"),
}
PROPOSAL = "compare with nothing chosen"  # whose main button is not disabled
MOST_TABS = 80
LOOKS, BETWEEN_MS = 10, 1000  # a page changes its colours and draws late parts within that
TIP = "(named) => getComputedStyle(named, '::after').content"
AXE = f"""async () => {{
  {AXE_SCRIPT}
  const found = await axe.run(document, {{ resultTypes: ["violations"] }});
  return found.violations.flatMap(({{ id, impact, nodes }}) => nodes.map(({{ target, html, failureSummary }}) => ({{
    rule: id, impact, html, why: failureSummary,
    part: document.querySelector(target.flat().at(-1))?.closest("[data-testid]")?.dataset.testid ?? "",
  }})));
}}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the dashboard on invented results: a finished sweep, and one whose trial failed."""
    folder = tmp_path_factory.mktemp("accessible")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KNEEPOINT_STORE", f"sqlite:///{folder / 'store.db'}")
        patched.setenv("KNEEPOINT_CACHE", str(folder / "cache"))
        machine.write(LIMITS, machine.kept_path())
        fill(f"sqlite:///{folder / 'store.db'}")
        with serving() as address:
            yield address


def fill(url: str) -> None:
    store = Store(url)
    filling.fill(store, filling.make_trials())
    store.submit(filling.make_trials(["quantize:rtn,bits=6"]), MEASURES, "Second look")
    filling.fail_one(store, "the model needs 9.1 GB of memory and 8.0 GB are free")
    store.close()


@pytest.mark.parametrize("name", [*PAGES, PROPOSAL])
def test_no_serious_violation_is_ours(page: Page, address: str, name: str) -> None:
    page.goto(address + {**addresses(*TRIALS), PROPOSAL: "/compare"}[name])
    settle(page)
    light = serious(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme === 'dark'")
    page.wait_for_timeout(BETWEEN_MS)  # colours glide into the other theme's
    found = light | serious(page)
    page.emulate_media(color_scheme="light")
    assert found.keys() == STREAMLITS.keys(), "\n\n".join(f"{rule}: {why}" for rule, why in found.items())
    assert page.locator(".stHtml [title]").count() == 0  # which neither a keyboard nor a touch reaches


def serious(page: Page) -> dict[tuple[str, str], str]:
    """What axe finds by rule and part, once colours and parts that are still on their way have arrived."""
    for _ in range(LOOKS):
        found = [one for one in page.evaluate(AXE) if one["impact"] in SERIOUS]
        said = {(one["rule"], one["part"]): f"{one['html']}\n{one['why']}" for one in found}
        if said.keys() == STREAMLITS.keys():
            break
        page.wait_for_timeout(BETWEEN_MS)
    return said


@pytest.mark.parametrize("way", ["hover", "focus", "click"])
def test_a_tip_shows_what_a_screen_reader_reads_out(page: Page, address: str, way: str) -> None:
    page.goto(f"{address}/result?trial={TRIALS[1]}")
    settle(page)
    page.mouse.move(0, 0)
    named = page.locator(".kp-table .kp-tip", has_text="Perplexity").first
    assert named.evaluate(TIP) == "none"
    getattr(named, way)()
    said = named.get_attribute("aria-description")
    assert said
    page.wait_for_function(f"([named, said]) => ({TIP})(named).includes(said)", arg=[named.element_handle(), said])


@pytest.mark.parametrize("name", MAIN)
def test_the_keyboard_reaches_what_a_page_is_for(page: Page, address: str, name: str) -> None:
    page.goto(address + addresses(*TRIALS)[name])
    settle(page)
    role, words = MAIN[name]
    control = page.get_by_role(role, name=words).first
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if control.evaluate("(control) => control.getRootNode().activeElement === control"):
            return
    pytest.fail(f"{MOST_TABS} tabs do not reach {words}")
