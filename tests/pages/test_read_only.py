"""A store that can only be read: every page shows it, and says why nothing can be queued."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from engine.outcome.row import Progress
from engine.store import Store
from tests.pages import filling
from tests.pages.conftest import APP, Open
from tests.processes import PATIENCE_S

PAGES = sorted(path.stem for path in (APP.parent / "pages").glob("[a-z]*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_it(open_page: Open, to_read: Callable[[], Store], store: Store, page: str) -> None:
    filling.fill(store, filling.make_trials(), finish=5)
    filling.fail_one(store, "out of memory")
    to_read()
    rows = [row.trial_id for row in store.rows()]
    query = {"compare": {"trials": ",".join(rows[:2])}, "result": {"trial": rows[1]}}.get(page, {})
    assert not any("store" in error.value for error in open_page(page, **query).error)


def test_the_frame_of_every_page_says_why_nothing_can_be_queued(store: Store, to_read: Callable[[], Store]) -> None:
    assert not AppTest.from_file(APP, default_timeout=PATIENCE_S).run().info
    to_read()
    (note,) = AppTest.from_file(APP, default_timeout=PATIENCE_S).run().info
    assert note.value.startswith("Nothing can be queued: the store ")
    assert "store.db can only be read; make it" in note.value.replace("\\", "")


def test_what_would_write_says_so_in_a_sentence(open_page: Open, to_read: Callable[[], Store], store: Store) -> None:
    filling.fill(store, filling.make_trials(), finish=3)
    filling.fail_one(store, "out of memory")
    with filling.running(store, Progress("compress", 1, 30)) as trial:
        to_read()
        for button in (f"cancel:{trial}", "runs:cancel", "runs:retry_all"):
            app = open_page("runs")
            app.button(key=button).click().run()
            assert not app.exception
            assert "it is read-only" in app.error[0].value.replace("\\", "")
    assert not store.cancelling()
