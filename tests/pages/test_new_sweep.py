"""New sweep: what the form asks for, what it says before launch, and what it refuses."""

from pathlib import Path

import pytest

from engine.errors import InputError
from engine.network.sources import Known, Source
from engine.spec import DEFAULT_MODEL, METHODS, Trial, refuse_misfits
from engine.tasks import TASKS, Overview
from tests.pages import filling
from tests.pages.conftest import said

CONFIG = {
    "model_type": "llama",
    "hidden_size": 576,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
}


@pytest.fixture(autouse=True)
def _prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default model and data as if they had been fetched."""
    known = Known(DEFAULT_MODEL, "default", None, "llama", 134_515_008)
    there = [Overview(t.name, t.label, t.summary, 500 if t.embedded else None, 0, "") for t in TASKS.values()]

    def make(sweep, data_dir=None) -> list[Trial]:
        for recipe in sweep.recipes:
            refuse_misfits(recipe, CONFIG)
        data = tuple((name, f"{name} of the tests") for name in (*sorted(sweep.protocol.tasks), "text"))
        sha = f"weights of {sweep.model}"
        return [Trial(sweep.model, None, sha, recipe, sweep.protocol, data) for recipe in sweep.recipes]

    monkeypatch.setattr("engine.network.sources.known", lambda: [known])
    monkeypatch.setattr("engine.tasks.overview", lambda data_dir=None: there)
    monkeypatch.setattr("engine.trials.make_trials", make)


def test_the_form_shows_every_method_with_its_summary(open_page):
    app = open_page("new_sweep")
    app.pills(key="sweep:methods").set_value(list(METHODS)).run()
    words = said(app)
    assert not app.error
    for method in METHODS.values():
        assert method.summary.split(";")[0].replace("'", "&#x27;") in words


def test_the_cost_stands_before_the_launch(open_page):
    app = open_page("new_sweep")
    words = said(app)
    assert all(name in words for name in ("Trials to run", "Time", "Disk"))
    assert app.button(key="sweep:launch").label == "Launch 13 trials"


def test_launching_queues_the_trials_and_goes_to_runs(open_page, store):
    app = open_page("new_sweep")
    app.text_input(key="sweep:name").set_value("Mine").run()
    app.button(key="sweep:launch").click().run()
    (sweep,) = store.sweeps()
    assert (sweep.name, sweep.total, sweep.unfinished) == ("Mine", 13, 13)
    assert store.rows()[0].recipe == "dense"


def test_a_sweep_that_stops_trials_early_says_so_before_and_keeps_its_tolerance(open_page, store):
    app = open_page("new_sweep")
    assert "left out early" not in said(app)
    app.toggle(key="sweep:early").set_value(True).run()
    assert app.number_input(key="sweep:tolerance").value == 3.0
    app.number_input(key="sweep:tolerance").set_value(2.0).run()
    assert "trials that are left out early take less" in said(app)
    assert "All 600 questions together settle differences from about 6.2 points on between 13 results" in said(app)
    app.button(key="sweep:launch").click().run()
    (sweep,) = store.sweeps()
    assert (sweep.tolerance, sweep.settled) == (0.02, False)


def test_stopping_early_needs_size_and_accuracy(open_page):
    app = open_page("new_sweep")
    app.pills(key="sweep:measures").set_value(["accuracy"]).run()
    assert app.toggle(key="sweep:early").disabled


def test_what_was_answered_is_not_asked_again(open_page, store):
    filling.fill(store, filling.make_trials(limit=100))
    app = open_page("new_sweep", recipe=["quantize:rtn,bits=8", "prune:layers,count=3"], limit="100")
    tasks = app.multiselect(key="sweep:tasks")
    assert sorted(tasks.value) == sorted(filling.TASKS)
    assert "3 more are answered already" in said(app)
    assert app.button(key="sweep:launch").label == "Show the results"


def test_a_link_fills_in_the_form(open_page):
    app = open_page("new_sweep", recipe="slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4", limit="50")
    assert app.number_input(key="sweep:limit").value == 50
    assert "10% of the width sliced, then 4-bit, round to nearest, groups of 64" in said(app)
    assert app.button(key="sweep:launch").label == "Launch 2 trials"


def test_every_run_says_what_the_form_holds_since_the_first_may_be_cut_short(open_page):
    app = open_page("new_sweep", recipe="prune:layers,count=6", limit="50", model=DEFAULT_MODEL).run()
    assert app.pills(key="sweep:methods").proto.set_value
    assert app.text_area(key="sweep:recipes").proto.value == "prune:layers,count=6"
    assert app.number_input(key="sweep:limit").proto.value == 50
    assert app.selectbox(key="sweep:model").proto.set_value


def test_a_wrong_line_is_named_and_nothing_can_be_launched(open_page):
    app = open_page("new_sweep")
    app.text_area(key="sweep:recipes").set_value("quantise:rtn,bits=4").run()
    assert "did you mean" in app.error[0].value
    assert not [button for button in app.button if button.key == "sweep:launch"]


def test_a_value_out_of_range_is_one_sentence(open_page):
    app = open_page("new_sweep")
    app.multiselect(key="sweep:quantize:rtn:bits").set_value(["4", "99"]).run()
    assert "bits must be in" in app.error[0].value.replace("\\", "")


def test_settings_that_do_not_fit_the_model_are_refused_before_any_work(open_page):
    app = open_page("new_sweep", recipe="prune:layers,count=30")
    assert app.error
    assert not [button for button in app.button if button.key == "sweep:launch"]


def test_a_pattern_and_a_sparsity_are_two_ways_and_not_crossed(open_page):
    app = open_page("new_sweep")
    app.multiselect(key="sweep:prune:magnitude:pattern").set_value(["2:4"]).run()
    assert not app.error
    assert app.button(key="sweep:launch").label == "Launch 14 trials"


def test_two_methods_can_be_combined_without_writing(open_page):
    app = open_page("new_sweep")
    app.button(key="sweep:add").click().run()
    assert " | quantize:rtn" in app.text_area(key="sweep:recipes").value
    assert app.button(key="sweep:launch").label == "Launch 14 trials"


def test_a_model_that_cannot_be_found_is_one_sentence(open_page, monkeypatch):
    def find(name: str) -> Source:
        raise InputError(f"there is no model folder {name!r}")

    monkeypatch.setattr("engine.trials.find_model", find)
    app = open_page("new_sweep", model="/nowhere")
    assert app.text_input(key="sweep:other").value == "/nowhere"
    app.button[0].click().run()
    assert "there is no model folder" in app.error[0].value


def test_a_model_that_is_found_is_chosen(open_page, monkeypatch, tmp_path: Path):
    found = Source(str(tmp_path), tmp_path, None, "abc", "llama", 1_000_000, CONFIG)
    known = [Known(DEFAULT_MODEL, "default", None, "llama", 134_515_008)]

    def find(name: str) -> Source:
        known.append(Known(str(tmp_path), "folder", None, "llama", 1_000_000))
        return found

    monkeypatch.setattr("engine.network.sources.known", lambda: known)
    monkeypatch.setattr("engine.trials.find_model", find)
    app = open_page("new_sweep", model=str(tmp_path))
    app.button[0].click().run()
    assert app.selectbox(key="sweep:model").value == str(tmp_path)
    assert app.button(key="sweep:launch").label == "Launch 13 trials"


def test_a_default_model_that_is_not_fetched_says_how(open_page, monkeypatch):
    missing = Known(DEFAULT_MODEL, "default", None, "llama", None, ready=False)
    monkeypatch.setattr("engine.network.sources.known", lambda: [missing])
    assert "python -m engine fetch" in open_page("new_sweep").warning[0].value


def test_a_task_of_the_hub_is_downloaded_when_asked_for(open_page, monkeypatch):
    got = []

    def overview(data_dir=None) -> list[Overview]:
        return [
            Overview(t.name, t.label, t.summary, 9 if t.embedded or t.name in got else None, 0, "")
            for t in TASKS.values()
        ]

    monkeypatch.setattr("engine.tasks.overview", overview)
    monkeypatch.setattr("engine.tasks.task_files", lambda name, data_dir: got.append(name))
    app = open_page("new_sweep")
    assert "blimp" not in str(app.multiselect(key="sweep:tasks").options)
    app.selectbox(key="sweep:absent").set_value("blimp").run()
    app.button(key="sweep:download").click().run()
    assert got == ["blimp"]
    assert any("BLiMP" in option for option in app.multiselect(key="sweep:tasks").options)


def test_a_download_that_fails_says_why(open_page, monkeypatch):
    def fail(name, data_dir):
        raise InputError(f"the data of {name} can't be downloaded: no network")

    monkeypatch.setattr("engine.tasks.task_files", fail)
    app = open_page("new_sweep")
    app.button(key="sweep:download").click().run()
    assert "no network" in app.error[0].value


def test_a_group_is_offered_where_all_its_tasks_are_there(open_page, monkeypatch):
    there = [Overview(t.name, t.label, t.summary, 9, 0, "") for t in TASKS.values()]
    monkeypatch.setattr("engine.tasks.overview", lambda data_dir=None: there)
    app = open_page("new_sweep")
    tasks = app.multiselect(key="sweep:tasks")
    assert any(option.startswith("Five: PIQA") for option in tasks.options)
    tasks.set_value(["five"]).run()
    assert "questions" not in [error.value for error in app.error]
    assert app.button(key="sweep:launch").label == "Launch 13 trials"


def test_nothing_is_launched_into_a_store_that_can_only_be_read(open_page, to_read):
    to_read()
    assert open_page("new_sweep").button(key="sweep:launch").disabled


def test_without_any_questions_the_form_says_where_they_come_from(open_page, monkeypatch):
    monkeypatch.setattr("engine.tasks.overview", lambda data_dir=None: [])
    assert "run `python -m engine fetch`" in open_page("new_sweep").error[0].value
