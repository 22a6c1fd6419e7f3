"""What failed, wherever a page lists it: why, and the button that runs it again."""

import pytest

from tests.pages import filling
from tests.pages.conftest import said


@pytest.mark.parametrize("page", ["explore", "runs"])
def test_what_failed_is_listed_with_its_reason_and_runs_again(open_page, store, page):
    filling.fill(store, filling.make_trials(), finish=3)
    failed = filling.fail_one(store, "ran out of memory (killed by signal 9)")
    app = open_page(page)
    assert "Ran out of memory (killed by signal 9)." in said(app)
    app.button(key=f"retry:{failed}").click().run()
    assert store.row(failed).state == "queued"
    assert "an out of memory" not in said(app)
