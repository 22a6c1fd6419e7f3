"""Result's section on why it is not smaller or faster: with limits, without, elsewhere, simulated, alone, dense."""

from dataclasses import replace

import pytest

from engine import machine
from engine.store import Queue
from tests.pages import filling
from tests.pages.conftest import said
from tests.test_machine import LIMITS

HEAD = "Why isn&#x27;t it smaller or faster?"
EIGHT, THREE, LAYERS = "quantize:rtn,bits=8,group_size=64", "quantize:rtn,bits=3,group_size=64", "prune:layers,count=6"
ELSEWHERE = replace(LIMITS, cpu="Another")


@pytest.fixture
def shown(open_result, store):
    """Open the result of a recipe, of a sweep that is all finished."""
    filling.fill(store, filling.make_trials())
    return open_result


def charts(app) -> int:
    return len(app.get("plotly_chart"))


def test_with_limits_a_word_and_a_prompt_are_drawn_with_sentences_and_numbers(shown):
    machine.write(LIMITS, machine.kept_path())
    app = shown(EIGHT)
    words = said(app)
    assert charts(app) == 2
    assert HEAD in words
    assert "Its linears take 8 bits instead of 16" in words
    assert "of a word&#x27;s time" in words
    assert "reads 32.0 GB/s" in words
    assert ">packed 8-bit kernel<" in words
    assert ">expanded to fp32<" in words
    assert not [button for button in app.button if button.key == "why:measure"]


def test_without_limits_bytes_and_operations_stand_and_the_machine_can_be_measured(shown, monkeypatch):
    monkeypatch.setattr("engine.machine.measure_here", lambda: machine.write(LIMITS, machine.kept_path()))
    app = shown(EIGHT)
    assert "Bytes moved" in said(app)
    assert "Reading, at least" not in said(app)
    app.button(key="why:measure").click().run()
    assert charts(app) == 2


@pytest.mark.parametrize(
    ("limits", "recipe", "says"),
    [
        (None, EIGHT, "is not known, so its time is not split"),
        (ELSEWHERE, EIGHT, "timed on Test CPU with 2 threads, and the limits known here are those of Another"),
        (LIMITS, THREE, "no real kernel for 3-bit weights, so no time is claimed"),
    ],
)
def test_a_time_that_can_not_be_split_is_not_drawn_and_the_reason_is_said(shown, limits, recipe, says):
    if limits:
        machine.write(limits, machine.kept_path())
    app = shown(recipe)
    assert charts(app) == 0
    assert says in said(app)


def test_a_broken_file_of_limits_is_said(shown):
    machine.kept_path().parent.mkdir(exist_ok=True)
    machine.kept_path().write_text("{}")
    app = shown(EIGHT)
    assert "holds no limits" in app.warning[0].value.replace("\\", "")
    assert HEAD in said(app)


def test_a_simulated_width_claims_no_time(shown):
    machine.write(LIMITS, machine.kept_path())
    words = said(shown(THREE))
    assert "no kernel: a 16-bit copy" in words
    assert "not split" not in words


def test_the_original_is_asked_where_its_time_goes(shown):
    machine.write(LIMITS, machine.kept_path())
    app = shown("dense")
    assert "Where does its time go?" in said(app)
    assert HEAD not in said(app)
    assert charts(app) == 2


def test_without_the_original_only_the_result_s_own_reason_stands(open_result, store):
    filling.fill(store, filling.make_trials(["dense", THREE, LAYERS]), finish=0)
    filling.fail_one(store, "ran out of memory")
    with Queue(store) as queue:
        while job := queue.claim():
            filling.answer(queue, job, {})
    words = said(open_result(THREE))
    assert HEAD in words
    assert "once it was measured under the same protocol" in words
    assert HEAD not in said(open_result(LAYERS))


def test_a_recorded_result_uses_the_recorded_limits(open_result, store, record, monkeypatch):
    filling.fill(store, filling.make_trials())
    record()
    app = open_result(EIGHT, **{"from": "recorded"})
    assert "is not known, so its time is not split" in said(app)
    assert not [button for button in app.button if button.key == "why:measure"]
    monkeypatch.setattr("engine.machine.recorded", lambda: LIMITS)
    assert charts(open_result(EIGHT, **{"from": "recorded"})) == 2


def test_more_sequences_and_a_batch_are_named(open_result, store):
    trials = [replace(t, protocol=replace(t.protocol, batch_size=4)) for t in filling.make_trials(["dense", EIGHT])]
    filling.fill(store, trials)
    words = said(open_result(EIGHT))
    assert "One word for each of 4 sequences" in words
    assert "4 prompts of 128 tokens" in words


def test_a_clicked_point_that_shrank_and_is_not_faster_links_to_the_reasons(open_page, store, monkeypatch):
    measured = filling.invent

    def invent_slow(trial):
        metrics, items = measured(trial)
        return {**metrics, "decode_speedup": 0.77 if trial.recipe.steps else 1.0}, items

    monkeypatch.setattr(filling, "invent", invent_slow)
    filling.fill(store, filling.make_trials(["dense", EIGHT]))
    row = next(row for row in store.rows() if row.recipe == EIGHT)
    app = open_page("explore", of=f"mine-{row.comparison_id}", trial=row.trial_id)
    labels = [link.proto.label.replace("\\", "") for link in app.get("page_link")]
    assert "1.6x smaller, but 1.3x slower per word. Why?" in labels
