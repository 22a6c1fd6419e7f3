"""The web process: having drawn every page it holds no torch and stays small."""

from pathlib import Path

from tests.pages.probe import probed

LIMIT_BYTES = 400e6
PROBE = """
import json, sys
import psutil
from streamlit.testing.v1 import AppTest

app = AppTest.from_file(sys.argv[1], default_timeout=60).run()  # with the results that the package ships
assert not app.exception, app.exception

from engine.store import Store
from tests.pages import filling

filling.fill(Store(sys.argv[2]), filling.make_trials())
pages = "start trade_offs quantize prune slice distil ten_times new_sweep runs explore compare present result"
for page in pages.split():
    app = AppTest.from_file(sys.argv[1], default_timeout=60).run()
    if page != "start":
        app = app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, (page, app.exception)
heavy = [name for name in ("torch", "transformers", "bitsandbytes") if name in sys.modules]
print(json.dumps({"heavy": heavy, "bytes": psutil.Process().memory_info().rss}))
"""


def test_no_page_imports_torch_and_memory_stays_small(url: str, tmp_path: Path) -> None:
    found = probed(PROBE, url, tmp_path / "cache", url)
    assert found["heavy"] == []
    assert found["bytes"] < LIMIT_BYTES
