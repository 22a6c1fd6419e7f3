"""When a browser has painted a page of a server that nobody has visited: milliseconds from asking for its address.

    python -m tests.benchmarks.page_paint [TRIALS] [--page NAME ...] [--rounds N]

Fills a store in a temporary folder with TRIALS trials (none unless told) beside the recorded results. Then each page
gets a server of its own and a browser with a new profile, to which nothing is attached while it draws: with a debugger
attached V8 reads Streamlit's scripts twice, and the same page takes half as long again. What the browser itself noted
(paint timing, largest contentful paint) is read afterwards: its first paint, which is of the frame; the page's own
first words (a heading or a text as large as any before it); and the last time something larger was painted. The second
visit is of another new browser to the same server. The bar: 2,000 for the page's words, cold.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import sync_playwright

from tests.benchmarks.page_rerun import PAGES, fill
from tests.browser.conftest import CHROMIUM, QUIET, free_port, serving
from tests.processes import PATIENCE_S

SETTLED_S = 8.0  # after which nothing more is drawn
NOTED = """() => new Promise(resolve => {
  const noted = {first: performance.getEntriesByName('first-contentful-paint')[0].startTime, largest: []};
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
      const own = entry.element && entry.element.closest('[data-testid="stMain"]') && entry.element.innerText;
      noted.largest.push([entry.startTime, Boolean(own)]);
    }
  }).observe({type: 'largest-contentful-paint', buffered: true});
  setTimeout(() => resolve(noted), 500);
})"""


def main() -> None:
    asked = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KNEEPOINT_STORE"] = f"sqlite:///{folder}/store.db"
        if asked.trials:
            fill(os.environ["KNEEPOINT_STORE"], asked.trials)
        for _ in range(asked.rounds):
            for page in asked.pages:
                with serving() as address:
                    for visit in ("cold", "again"):
                        print(f"{page:10} {visit:5} {describe(visited(f'{address}/{page}'))}", flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("trials", nargs="?", type=int, default=0)
    made.add_argument("--page", dest="pages", nargs="+", choices=PAGES, default=PAGES, metavar="NAME")
    made.add_argument("--rounds", type=int, default=1)
    return made


def visited(address: str) -> dict[str, Any]:
    """What a new browser noted of an address: `first` in ms, `largest` as [ms, whether it is the page's own words]."""
    with browser(address) as debugger, sync_playwright() as playwright:
        attached = playwright.chromium.connect_over_cdp(debugger)
        noted: dict[str, Any] = attached.contexts[0].pages[0].evaluate(NOTED)
        return noted


@contextmanager
def browser(address: str) -> Iterator[str]:
    """A new browser that has drawn an address by itself; where a debugger attaches to it."""
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ("--headless=new", f"--user-data-dir={profile}", f"--remote-debugging-port={port}")
        process = subprocess.Popen(
            [CHROMIUM, *QUIET, *options, "--window-size=1440,900", address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(SETTLED_S)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def describe(noted: dict[str, Any]) -> str:
    own = [at for at, words in noted["largest"] if words]
    words = f"{own[0]:6.0f}" if own else "     –"
    return f"frame {noted['first']:6.0f} ms, words {words} ms, last larger {noted['largest'][-1][0]:6.0f} ms"


if __name__ == "__main__":
    main()
