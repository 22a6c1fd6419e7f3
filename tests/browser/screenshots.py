"""A picture of every page with the recorded results: `make screenshots`, or

    python -m tests.browser.screenshots [--only PAGE ...] [--dark] [--narrow] [--to FOLDER]

Serves the dashboard on an empty store, opens each page in a headless Chromium as high as the page is, and writes
FOLDER/PAGE.png, with -dark and -narrow in its name where it is. The default folder is docs/screenshots.
"""

import argparse
import os
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from engine.analysis.front import find_front, telling_quality
from engine.recorded import recorded
from tests.browser.conftest import CHROMIUM, MINUTE, PAGES, QUIET, ROOT, addresses, serving, settle

WIDE, NARROW = 1280, 390  # pixels


def main() -> None:
    front = find_front(recorded(), y=telling_quality(recorded()))
    assert front.dense is not None
    assert front.knee is not None
    pages = addresses(front.dense.trial_id, front.knee.row.trial_id)
    parser = argparse.ArgumentParser(description="Write a picture of every page.")
    parser.add_argument("--only", nargs="+", choices=PAGES, default=PAGES, metavar="PAGE", help=", ".join(PAGES))
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--narrow", action="store_true", help=f"{NARROW} pixels wide, as a phone")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "screenshots", metavar="FOLDER")
    asked = parser.parse_args()
    asked.to.mkdir(parents=True, exist_ok=True)
    suffix = "-dark" * asked.dark + "-narrow" * asked.narrow
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ["KNEEPOINT_STORE"] = f"sqlite:///{folder}/store.db"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = browser.new_page(color_scheme="dark" if asked.dark else "light")
        page.set_default_timeout(MINUTE)
        with serving() as address:
            for name in asked.only:
                path = asked.to / f"{name}{suffix}.png"
                take(page, address + pages[name], NARROW if asked.narrow else WIDE, path)
                print(f"{path}: {path.stat().st_size / 1000:,.0f} kB")
        browser.close()


def take(page: Page, address: str, width: int, path: Path) -> None:
    """Write the page at an address as a picture of its whole height."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)
    settle(page)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": height})
    settle(page)
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as picture:
        picture.convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    main()
