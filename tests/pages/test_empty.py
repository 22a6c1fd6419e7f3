"""Pages on a store without results."""

import pytest

from tests.pages.conftest import said


@pytest.mark.parametrize(
    ("page", "says", "button", "label"),
    [
        ("start", "Nothing has been measured", "first_look", "Set up a first look"),
        ("explore", "no results yet", "new_sweep", "New sweep"),
        ("trade_offs", "There are none yet", "new_sweep", "Set up a first look"),
        ("ten_times", "Nothing has been measured yet", "new_sweep", "Set up the first steps"),
        ("present", "Nothing to present yet", "new_sweep", "New sweep"),
    ],
)
def test_an_empty_store_says_what_to_do(open_page, page, says, button, label):
    app = open_page(page)
    assert says in said(app)
    assert app.button(key=f"{page}:{button}").label == label
    assert not app.get("plotly_chart")
