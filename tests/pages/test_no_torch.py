"""The web process: having drawn every page it holds no torch and stays small."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_BYTES = 400e6
PROBE = """
import json, sys
import psutil
from streamlit.testing.v1 import AppTest

app = AppTest.from_file(sys.argv[2], default_timeout=60).run()  # with the results that the package ships
assert not app.exception, app.exception

from engine.store import Store
from tests.pages import filling

filling.fill(Store(sys.argv[1]), filling.make_trials())
pages = "start trade_offs quantize prune slice distil ten_times new_sweep runs explore compare present result"
for page in pages.split():
    app = AppTest.from_file(sys.argv[2], default_timeout=60).run()
    if page != "start":
        app = app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, (page, app.exception)
heavy = [name for name in ("torch", "transformers", "bitsandbytes") if name in sys.modules]
print(json.dumps({"heavy": heavy, "bytes": psutil.Process().memory_info().rss}))
"""


def test_no_page_imports_torch_and_memory_stays_small(url: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "KNEEPOINT_STORE": url,
        "KNEEPOINT_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    ran = subprocess.run(
        [sys.executable, "-c", PROBE, url, str(ROOT / "app.py")],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["heavy"] == []
    assert found["bytes"] < LIMIT_BYTES
