"""How long pages take with 5,000 trials in the store: as a server's first page, after Start, and when they run again.

    python -m tests.benchmarks.page_rerun [TRIALS]

Fills a store in a temporary folder through the store's own interface. Then every page gets a process of its own, as of
a server that nobody has visited: its first run there imports the engine, reads and analyses the rows and builds what
the page shows. After it ten reruns, in milliseconds: the median and the slowest. The bars: 2,000 cold, 500 again.

The code is compiled before, as it is from a server's second start on. The first line is of a page that draws nothing:
what the test itself takes of each first run below it, to look for components among the installed packages, which a
server does once, before its first visitor.
"""

import compileall
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

REPEATS = 10
APP = Path(__file__).parents[2] / "app.py"


EMPTY = "empty"
PAGES = (
    *("start", "trade_offs", "quantize", "prune", "slice", "distil", "ten_times"),
    *("new_sweep", "runs", "explore", "compare", "present", "result"),
)


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/store.db"
        os.environ |= {"KNEEPOINT_STORE": url, "KNEEPOINT_CACHE": f"{folder}/cache"}
        compileall.compile_dir(APP.parent / "engine", quiet=1)
        compileall.compile_dir(APP.parent / "pages", quiet=1)
        began = time.perf_counter()
        fill(url, count)
        print(f"filled a store with {count:,} trials in {time.perf_counter() - began:.0f} s")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as fresh:
            for page, (first, times) in zip((EMPTY, *PAGES), fresh.map(runs, (EMPTY, *PAGES)), strict=True):
                print(f"{page:10} cold {first:6.0f} ms, again {median(times):6.0f} ms, slowest {max(times):6.0f} ms")
            for page, first in zip(PAGES, fresh.submit(first_visits).result(), strict=True):
                print(f"{page:10} {'cold' if page == PAGES[0] else 'after Start'} {first:6.0f} ms")


def fill(url: str, count: int) -> None:
    from engine.store import Store
    from tests.pages import filling

    recipes = ["dense"]
    for n in range(count - 1):
        recipes.append(
            f"slice:slicegpt,fraction={0.0001 * (n % 4000) + 0.0001:.4f},head={'tied' if n < 4000 else 'untied'}"
        )
    store = Store(url)
    filling.fill(store, filling.make_trials(recipes, limit=20))
    store.close()


def runs(page: str) -> tuple[float, list[float]]:
    """Milliseconds of the first run of a page in this process, and of reruns."""
    app = opened(page)
    first, *times = (timed(app) for _ in range(REPEATS + 1))
    return first, times


def first_visits() -> list[float]:
    """Milliseconds of the first run of each page, one after the other in this process."""
    return [timed(opened(page)) for page in PAGES]


def opened(page: str) -> "AppTest":
    from streamlit.testing.v1 import AppTest  # imported by a server before its first visitor

    if page == EMPTY:
        return AppTest.from_string("import streamlit; streamlit.empty()", default_timeout=300)
    app = AppTest.from_file(APP, default_timeout=300)
    return app if page == "start" else app.switch_page(f"pages/{page}.py")


def timed(app: "AppTest") -> float:
    began = time.perf_counter()
    app.run()
    took = 1e3 * (time.perf_counter() - began)
    assert not app.exception, app.exception
    return took


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
