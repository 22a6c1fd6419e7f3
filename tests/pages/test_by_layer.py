"""New sweep, by layer: what it says and offers before, during and after the measurement."""

from dataclasses import replace

import pytest

from engine.outcome.kept import Kept
from engine.outcome.row import Progress
from engine.outcome.sensitivity import NAME
from engine.recorded import Entry
from engine.spec import DEFAULT_MODEL, Protocol, Recipe, Trial
from engine.store import Queue
from tests.made_sensitivity import made
from tests.pages import filling
from tests.pages.conftest import said
from tests.pages.test_new_sweep import _prepared  # noqa: F401  (a fixture)

TRIAL = Trial(DEFAULT_MODEL, None, "weights", Recipe(), Protocol(), (("text", "0"),))


@pytest.fixture
def open_tab(open_page, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.trials.make_sensitivity", lambda model: TRIAL)
    return lambda: open_page("new_sweep", tab="By layer")


def links(app) -> list[str]:
    return [link.proto.label for link in app.get("page_link")]


def ask(store) -> None:
    store.submit([TRIAL], (NAME,))


def measure(store) -> None:
    ask(store)
    with Queue(store) as queue:
        job = queue.claim()
        assert job is not None
        queue.keep_profile(TRIAL.id, NAME, made(group_size=64, unit=64_000).to_dict())
        queue.finish(job)


def test_what_ships_with_the_package_is_shown_with_where_it_was_measured(open_tab, store, record, monkeypatch):
    filling.fill(store, filling.make_trials(["dense"]))
    (row,) = record()
    shipped = Entry(replace(row, trial_id=TRIAL.id), Kept(profiles={NAME: made(group_size=64, unit=64_000).to_dict()}))
    monkeypatch.setattr("pages.shared.stored.entries", lambda: {TRIAL.id: shipped})
    app = open_tab()
    assert "Recorded on" in said(app)
    assert "What each layer minds" in said(app)


def test_what_is_not_measured_can_be_asked_for_and_cancelled(open_tab, store):
    app = open_tab()
    assert "always that layer alone" in said(app)
    app.button(key="layers:measure").click().run()
    (row,) = store.rows()
    assert (row.recipe, row.state, row.measures) == ("dense", "queued", (NAME,))
    assert "Waiting for its turn" in said(app)
    app.button(key="layers:cancel").click().run()
    assert store.cancelling() == {TRIAL.id}


def test_a_running_measurement_says_how_far_it_is(open_tab, store):
    ask(store)
    with filling.running(store, Progress("change one layer at a time", 40, 100, 300.0)):
        app = open_tab()
        assert "Changing one layer at a time: 40 of 100, about 5 min left" in str(app.get("progress")[0].proto)


def test_a_failed_measurement_says_why_and_runs_again(open_tab, store):
    ask(store)
    filling.fail_one(store, "memory ran out")
    app = open_tab()
    assert "memory ran out" in app.error[0].value
    app.button(key="layers:again").click().run()
    assert store.row(TRIAL.id).state == "queued"


def test_a_mixture_is_proposed_sent_and_held_against_what_was_measured(open_tab, store):
    measure(store)
    app = open_tab()
    assert "Nothing of this kind has been measured yet" in said(app)
    assert "See it in Runs" not in links(app)
    app.multiselect(key="sweep:protected").set_value(["1"]).run()
    app.button(key="layers:send").click().run()
    assert not app.error
    assert "Sent already" in said(app)
    assert "See it in Runs" in links(app)
    sent = [row for row in store.rows() if row.recipe != "dense"]
    assert any("blocks=" in row.recipe for row in sent)
    with Queue(store) as queue:
        while job := queue.claim():
            queue.keep_metrics(job.trial.id, {"weight_bytes": 7_654_000.0, "kl_to_dense": 0.321}, {})
            queue.finish(job)
    app.run()
    words = said(app)
    assert "7.65 MB" in words
    assert "0.321" in words
    assert "Measured already" in words
    assert "layers:send" not in [button.key for button in app.button]


def test_the_mixture_stands_in_the_address_and_comes_back_from_it(open_page, open_tab, store):
    measure(store)
    app = open_tab()
    app.multiselect(key="sweep:protected").set_value(["1", "3"]).run()
    app.pills(key="sweep:widths").set_value(["8", "3"]).run()
    app.slider(key="sweep:budget").set_value(app.slider(key="sweep:budget").max).run()
    address = dict(app.query_params)
    assert {name: address[name] for name in ("tab", "protected", "widths", "model")} == {
        "tab": "By layer", "protected": "1,3", "widths": "8,3", "model": DEFAULT_MODEL,
    }  # fmt: skip
    again = open_page("new_sweep", **address)
    assert again.multiselect(key="sweep:protected").value == ["1", "3"]
    assert again.pills(key="sweep:widths").value == ["8", "3"]
    assert again.slider(key="sweep:budget").value == app.slider(key="sweep:budget").value


def test_a_measurement_is_no_result_among_others(open_page, store):
    measure(store)
    assert "Open in Explore" not in said(open_page("runs", sweep="1"))
    open_page("result", trial=TRIAL.id)
    assert "There are no results yet" in said(open_page("explore"))
