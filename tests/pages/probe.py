"""A process of its own that draws pages: what it has imported by then, and how large it is, is its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def probed(script: str, url: str, cache: Path, *given: str) -> Any:
    """What a script prints last, as JSON; its arguments are app.py and what is given."""
    own = {"KNEEPOINT_STORE": url, "KNEEPOINT_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", script, str(ROOT / "app.py"), *given],
        env={**os.environ, **own, "STREAMLIT_SERVER_HEADLESS": "true"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])
