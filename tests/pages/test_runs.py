"""Runs: empty, waiting, running, failed, done."""

from engine.outcome.row import Progress
from engine.spec import MEASURES
from engine.store import Queue
from tests.pages import filling
from tests.pages.conftest import downloads, said


def progress_texts(app) -> str:
    return " ".join(bar.proto.text for bar in app.get("progress"))


def test_an_empty_store_says_what_to_do(open_page):
    assert "Nothing has been measured here yet" in said(open_page("runs"))


def test_a_running_trial_shows_stage_items_and_time_left(open_page, store):
    filling.fill(store, filling.make_trials(), finish=0)
    with filling.running(store, Progress("accuracy", 120, 300, 130.0)):
        app = open_page("runs")
    assert "Answering questions: 120 of 300, about 2 min left" in progress_texts(app)
    assert f"0 of {len(filling.SWEEP)} trials ended" in progress_texts(app)


def test_cancelling_a_trial_asks_the_worker(open_page, store):
    filling.fill(store, filling.make_trials(), finish=0)
    with filling.running(store, Progress("compress", 1, 30)) as trial:
        open_page("runs").button(key=f"cancel:{trial}").click().run()
        assert store.cancelling() == {trial}


def test_cancelling_a_sweep_asks_for_all_that_is_left(open_page, store):
    filling.fill(store, filling.make_trials(), finish=3)
    app = open_page("runs")
    app.button(key="runs:cancel").click().run()
    assert len(store.cancelling()) == len(filling.SWEEP) - 3


def test_a_finished_sweep_shows_its_front(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("runs")
    assert app.get("plotly_chart")
    assert "Download CSV" in downloads(app)
    assert list(app.dataframe[0].value["State"]) == ["done"] * len(filling.SWEEP)
    assert "trials ended" in progress_texts(app)


def test_the_address_names_the_sweep(open_page, store, monkeypatch):
    taken = {}
    monkeypatch.setattr(
        "pages.shared.take_along.csv_button", lambda rows, front, key: taken.update({key: (rows, front)})
    )
    first = filling.fill(store, filling.make_trials(("dense", "prune:layers,count=3")), name="One")
    filling.fill(store, filling.make_trials(("dense", "quantize:rtn,bits=8")), name="Two")
    app = open_page("runs", sweep=str(first))
    assert app.selectbox(key="runs:sweep").value == str(first)
    assert any("3 layers removed" in name for name in app.dataframe[0].value["Trial"])
    rows, front = taken["runs:csv"]  # to take along: the front that is drawn, not that of all sweeps
    assert {point.trial_id for point in front.points} == {row.trial_id for row in rows}


def test_a_sweep_that_is_not_here_is_said(open_page, store):
    filling.fill(store, filling.make_trials())
    assert "another is shown" in open_page("runs", sweep="99").info[0].value
    assert not open_page("runs").info


def test_a_sweep_that_stops_trials_early_says_by_what_rule_and_that_it_is_still_deciding(open_page, store):
    store.submit(filling.make_trials(), MEASURES, "Early", tolerance=0.02)
    words = said(open_page("runs"))
    assert "up to 2 points of accuracy decide nothing" in words
    assert "is being decided" not in words
    with Queue(store) as queue:
        while job := queue.claim():
            filling.answer(queue, job, {})
    assert "What needs more questions is being decided." in said(open_page("runs"))


def test_the_front_of_a_sweep_that_ended_is_whole_though_a_trial_failed(open_page, store):
    filling.fill(store, filling.make_trials(("dense", "quantize:rtn,bits=8", "quantize:rtn,bits=4")), finish=2)
    assert "The front so far" in said(open_page("runs"))
    filling.fail_one(store, "it needs 9 GB of memory")
    app = open_page("runs")
    assert "The front so far" not in said(app)
    assert "It needs 9 GB of memory." in said(app)
    assert "Note" in app.dataframe[0].value


def test_trials_without_a_remark_have_no_column_of_them(open_page, store):
    filling.fill(store, filling.make_trials())
    assert "Note" not in open_page("runs").dataframe[0].value
