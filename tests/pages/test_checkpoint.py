"""Result's checkpoint: what can be chosen, what pressing the button asks for, and every state of what was asked."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import InputError
from engine.running.model_card import load_code
from engine.store import Export, Exports, Store
from tests.fake_trial import made
from tests.pages import filling
from tests.pages.conftest import said

FOUR = "quantize:rtn,bits=4"
ASK, STOP = "result:checkpoint:ask", "result:checkpoint:stop"


@pytest.fixture
def trial(store: Store) -> str:
    filling.fill(store, filling.make_trials())
    return filling.trial_of(store, FOUR)


def newest(store: Store, trial: str) -> Export:
    found = Exports(store).newest(trial)
    assert found is not None
    return found


def asked(store: Store, trial: str, **values: object) -> int:
    """Ask for a plain checkpoint and write what the lane did of it."""
    export_id = Exports(store).ask(trial, made(4), "plain", "")
    Exports(store).write(export_id, **values)
    return export_id


def keys(app) -> list[str]:
    return [button.key for button in app.button]


def test_the_button_asks_the_lane_for_the_chosen_format_with_its_card(open_page, store, trial, monkeypatch):
    woken: list[str] = []
    monkeypatch.setattr("engine.running.lane.ensure_running", woken.append)
    app = open_page("result", trial=trial)
    assert "about 269 MB" in said(app)
    app.segmented_control(key=f"result:checkpoint:format:{trial}").set_value("packed").run()
    assert "about 269 MB" not in said(app)
    assert any(f"engine export {trial} my-model --format packed" in block.value for block in app.code)
    app.button(key=ASK).click().run()
    assert not app.exception
    found = newest(store, trial)
    assert (found.format, found.state, found.trial.recipe) == ("packed", "waiting", store.trial(trial).recipe)
    assert "## What was measured" in found.card
    assert "Nothing was measured" not in found.card
    assert woken == [store.url]
    assert ASK not in keys(app)


def test_every_run_says_which_format_is_chosen_since_the_first_may_be_cut_short(open_page, trial):
    app = open_page("result", trial=trial).run()
    assert app.segmented_control(key=f"result:checkpoint:format:{trial}").proto.set_value


def test_the_original_is_there_already(open_result, trial):
    app = open_result("dense")
    assert "Take it along" not in said(app)
    assert ASK not in keys(app)


def test_while_it_is_written_progress_is_shown_and_cancel_asks(open_page, store, trial):
    asked(store, trial, state="writing", stage="compress", done=3, total=12)
    app = open_page("result", trial=trial)
    drawn = app.get("progress")[0].proto
    assert (drawn.text, drawn.value) == ("Compressing: 3 of 12", 25)
    app.button(key=STOP).click().run()
    assert newest(store, trial).stop_asked
    assert app.get("progress")[0].proto.text == "Stopping"
    assert app.button(key=STOP).disabled


def test_one_that_waits_says_so(open_page, store, trial):
    asked(store, trial, state="waiting")
    assert "Waiting" in open_page("result", trial=trial).get("progress")[0].proto.text


def test_a_written_one_says_where_it_is_how_large_and_how_to_load_it(open_page, store, trial, tmp_path: Path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"0" * 2_500_000)
    asked(store, trial, state="done", folder=str(folder))
    app = open_page("result", trial=trial)
    assert "Written, 2.50 MB" in said(app)
    shown = [block.value for block in app.code]
    assert str(folder) in shown
    assert load_code("plain", str(folder)) in shown
    assert ASK not in keys(app)
    (folder / "model.safetensors").unlink()
    folder.rmdir()
    app.run()
    assert "no longer where it was written" in said(app)
    assert ASK in keys(app)


def test_a_failed_one_shows_its_reason_and_can_be_asked_again(open_page, store, trial):
    first = asked(store, trial, state="failed", reason="the disk is full: free some space, then retry")
    app = open_page("result", trial=trial)
    assert "the disk is full" in app.error[0].value
    app.button(key=ASK).click().run()
    assert newest(store, trial).id > first


def test_what_no_standard_configuration_expresses_is_offered_packed_only(open_page, store, trial, monkeypatch):
    config = {"model_type": "llama", "tie_word_embeddings": True}
    asked: list[dict[str, bool]] = []

    def resolve(*_, **options):
        asked.append(options)
        return SimpleNamespace(config=config)

    monkeypatch.setattr("engine.network.sources.resolve", resolve)
    sliced = next(row.trial_id for row in store.rows() if row.family == "slice")
    app = open_page("result", trial=sliced)
    assert "Packed only: a sliced head that shares its embedding" in said(app)
    app.button(key=ASK).click().run()
    assert newest(store, sliced).format == "packed"
    assert asked[0] == {"fetch": False}  # a page downloads no model


def test_a_recorded_result_is_asked_for_by_recipe_and_a_missing_model_is_said(
    open_page, store, trial, record, monkeypatch
):
    record()

    def refuse(*_):
        raise InputError("the default model was not fetched; run `python -m engine fetch`")

    monkeypatch.setattr("pages.shared.live.make_unmeasured", refuse)
    app = open_page("result", **{"trial": trial, "from": "recorded"})
    app.button(key=ASK).click().run()
    assert "was not fetched" in app.error[0].value
    monkeypatch.setattr("pages.shared.live.make_unmeasured", lambda model, recipe, protocol: made(4))
    app.button(key=ASK).click().run()
    assert newest(store, f"recorded-{trial}").trial == made(4)
