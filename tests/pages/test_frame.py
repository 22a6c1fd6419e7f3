"""The frame: it is drawn before what pages need is imported, and names the script that charts are drawn with."""

import subprocess
import sys
from pathlib import Path

import streamlit

from pages.shared import frame

PAGES_NEED = {"engine.plots", "engine.store", "sqlalchemy"}


def test_the_frame_waits_for_nothing_that_pages_need() -> None:
    probe = "import sys; from pages.shared import frame; frame.sections(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert PAGES_NEED & set(done.stdout.split()) == set()


def test_streamlit_has_the_plot_script_where_the_frame_says() -> None:
    script = Path(streamlit.__file__).parent / "static" / frame.PLOT_SCRIPT
    assert "plotly" in script.read_text(encoding="utf-8")
