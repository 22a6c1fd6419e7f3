"""The frame in a real Chromium."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_the_plot_script_is_read_before_there_is_a_chart(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNEEPOINT_STORE", f"sqlite:///{tmp_path / 'store.db'}")
    with serving() as address:
        page.goto(address + "/runs")
        page.wait_for_function("performance.getEntriesByType('resource').some(read => /PlotlyChart/.test(read.name))")
        expect(page.locator(".js-plotly-plot")).to_have_count(0)
