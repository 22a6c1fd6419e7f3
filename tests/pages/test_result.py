"""Result: done, failed, waiting, and not there."""

from tests.pages import filling
from tests.pages.conftest import said


def test_a_finished_result_shows_bytes_metrics_and_definitions(open_page, store):
    filling.fill(store, filling.make_trials())
    trial = next(row.trial_id for row in store.rows() if row.recipe.startswith("quantize:rtn,bits=4,group_size=64"))
    app = open_page("result", trial=trial)
    words = said(app)
    assert "4-bit, round to nearest, groups of 64" in words
    assert "Where the bytes are" in words
    assert "Bytes of the packed tensors" in words
    assert "±" in words


def test_a_failed_result_keeps_reason_traceback_and_log(open_page, store):
    filling.fill(store, filling.make_trials(), finish=1)
    trial = filling.fail_one(store, "ran out of memory")
    app = open_page("result", trial=trial)
    assert "ran out of memory" in app.error[0].value
    assert "MemoryError" in app.code[0].value
    assert "compressing" in app.code[1].value
    app.button(key="result:retry").click().run()
    assert store.row(trial).state == "queued"


def test_a_waiting_result_says_so(open_page, store):
    filling.fill(store, filling.make_trials(), finish=1)
    waiting = next(row.trial_id for row in store.rows() if row.state == "queued")
    assert open_page("result", trial=waiting).get("progress")[0].proto.text == "Waiting"


def test_a_cancelled_result_can_be_retried(open_page, store):
    from engine.store import Queue

    filling.fill(store, filling.make_trials(), finish=1)
    waiting = next(row.trial_id for row in store.rows() if row.state == "queued")
    store.request_cancel([waiting])
    with Queue(store) as queue:
        queue.honour_cancels()
    app = open_page("result", trial=waiting)
    assert "Cancelled" in said(app)
    app.button(key="result:retry").click().run()
    assert store.row(waiting).state == "queued"


def test_an_unknown_result_says_where_links_work(open_page):
    assert "not in the store" in said(open_page("result", trial="0" * 16))
    assert "Choose a point" in said(open_page("result"))
