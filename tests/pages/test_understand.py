"""Quantize, Prune, Slice and Distil in their states: the shipped pack, settings from the address, no pack yet."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import InputError
from engine.spec import DEFAULT_MODEL
from engine.teaching import packs
from engine.teaching.pack import STEPS, floats
from tests.pages import filling
from tests.pages.conftest import Open, pictures, said

PAGES = ("quantize", "prune", "slice", "distil")


def links(app: AppTest) -> dict[str, str]:
    """What the links on the page say, and their queries."""
    return {block.proto.label: block.proto.query_string for block in app.get("page_link")}


def drawn(app: AppTest) -> dict[str, Any]:
    """What the first picture of the page was sent."""
    return next(iter(pictures(app).values()))


@pytest.mark.parametrize("page", PAGES)
def test_it_answers_at_once_from_the_shipped_pack(open_page: Open, page: str) -> None:
    app = open_page(page)
    assert drawn(app)["setting"]
    assert "No result of this kind has been measured yet" in said(app)
    assert any(label.startswith("Try it") for label in links(app))


def test_the_address_sets_the_picture_and_the_measured_result_follows(open_page: Open, store) -> None:
    filling.fill(store, filling.make_trials())
    app = open_page("quantize", bits="3", group="64", row="typical")
    assert drawn(app)["setting"]["bits"] == 3
    assert drawn(app)["setting"]["row"] == "typical"
    assert "Measured: 3-bit" in said(app)
    assert "This setting" in said(app)
    assert "recipe=quantize" in links(app)["Try it: 3-bit, round to nearest, groups of 64"]


def test_a_setting_that_was_not_measured_shows_the_nearest_and_says_so(open_page: Open, store) -> None:
    filling.fill(store, filling.make_trials())
    app = open_page("quantize", bits="7", group="32")
    assert "The nearest setting that was measured" in said(app)
    assert "Measured: 8-bit" in said(app)
    assert "Try it: 7-bit, round to nearest, groups of 32" in links(app)


def test_the_models_own_grid_is_explained_and_shown(open_page: Open) -> None:
    app = open_page("quantize")
    assert "own grid" in said(app)
    app.button(key="quantize:own_grid").click().run()
    assert drawn(app)["setting"] == {"bits": 4, "group": "32", "symmetric": False, "row": "typical", "apart": 0}
    assert app.query_params["group"] == "32"


@pytest.mark.parametrize("page", ["quantize", "prune", "slice", "distil"])
def test_a_model_that_is_not_here_is_said(open_page: Open, page: str) -> None:
    app = open_page(page, model="somebody/else")
    said_of_it = app.info[0].value.replace("\\", "")
    assert said_of_it == "somebody/else, which the link names, is not on this machine: SmolLM2-135M-Instruct is shown."
    assert not open_page(page).info


def test_training_through_the_rounding_is_what_the_pack_holds_at_the_width_chosen(open_page: Open) -> None:
    made = packs.shipped(DEFAULT_MODEL)
    assert made is not None
    app = open_page("quantize", trained="4", step="150")
    sent = pictures(app)["quantize_training"]
    assert sent["setting"] == {"trained": "4", "step": 150}
    assert sent["tensor"] == made.training.tensor
    assert [one["bits"] for one in sent["widths"]] == [2, 3, 4]
    assert all(len(floats(one["heldout"])) == sent["frames"] for one in sent["widths"])
    errors = floats(made.training.widths[2].heldout)
    assert f"At 4 bits, {STEPS} steps took the error from {100 * errors[0]:.1f}% to {100 * errors[-1]:.1f}%" in said(
        app
    )
    assert f"rows 0 to 63 of {made.training.tensor}, all 576 inputs" in said(app)
    assert "At 3 bits" in said(open_page("quantize", trained="16", step="-1"))


def test_measured_times_reach_the_bars(open_page: Open, store) -> None:
    filling.fill(store, filling.make_trials())
    times = {(one["kind"], round(one["amount"], 2)): one for one in drawn(open_page("prune"))["measured"]}
    assert ("layers", 0.1) in times
    assert times["layers", 0.1]["text"].endswith("ms")
    assert " ms in that run, so this is " in times["layers", 0.1]["under"], "times of several runs don't compare"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"kind": "layers", "amount": "0.2"}, "Try it: 6 layers removed"),
        ({"kind": "layers", "amount": "0.15"}, "Try it: 5 layers removed"),
        ({"kind": "2:4"}, "Try it: 2:4 zeros by magnitude"),
        ({"amount": "0.3"}, "Try it: 30% zeros by magnitude"),
        ({"kind": "neurons", "amount": "0.2"}, "Try it: 20% of the neurons removed by magnitude"),
        ({"kind": "neurons", "amount": "0.3", "score": "wanda"}, "Try it: 30% of the neurons removed by Wanda's rule"),
        ({"kind": "heads", "amount": "0.35", "score": "wanda"}, "Try it: 35% of the heads removed by Wanda's rule"),
    ],
)
def test_a_mask_can_be_tried(open_page: Open, query: dict[str, str], words: str) -> None:
    assert words in links(open_page("prune", **query))


@pytest.mark.parametrize("query", [{"amount": "0"}, {"kind": "heads", "amount": "0.1"}])
def test_nothing_pruned_is_nothing_to_try(open_page: Open, query: dict[str, str]) -> None:
    assert not any(label.startswith("Try it") for label in links(open_page("prune", **query)))


def test_whole_units_have_their_measured_result(open_page: Open, store) -> None:
    kept = ("dense", "prune:neurons,fraction=0.2", "prune:neurons,fraction=0.2,importance=wanda", "prune:heads")
    filling.fill(store, filling.make_trials(recipes=kept))
    app = open_page("prune", kind="neurons", amount="0.2", score="wanda")
    assert "Measured: 20% of the neurons removed by Wanda" in said(app)
    assert "This setting" in said(app)
    times = [(one["kind"], one["amount"], one["score"]) for one in drawn(app)["measured"]]
    assert ("neurons", 0.2, "activation") in times
    assert ("heads", 0.25, "activation") in times
    assert "Measured: 25% of the heads removed" in said(open_page("prune", kind="heads", amount="0.3"))


def test_the_cut_names_the_next_words(open_page: Open, store) -> None:
    filling.fill(store, filling.make_trials())
    app = open_page("slice", fraction="0.2")
    assert "Measured: 20% of the width sliced" in said(app)
    assert "25% after the turn" in said(app)
    assert "glass" in said(app)


def test_a_student_is_chosen_and_its_measured_distance_stands_beneath(open_page: Open, store) -> None:
    filling.fill(store, filling.make_trials())
    app = open_page("distil", student="quantize:rtn,bits=3,group_size=64", temperature="2", direction="student")
    sent = drawn(app)
    assert sent["setting"]["temperature"] == 2
    assert sent["setting"]["direction"] == "student"
    assert sent["speakers"][0]["key"] == "dense"
    assert "Measured: 3-bit" in said(app)
    assert "This setting" in said(app)
    assert "KL to the original" in said(app)
    assert "recipe=quantize" in links(app)["Try it: 3-bit, round to nearest, groups of 64"]


def test_a_student_that_was_not_measured_has_the_nearest_result(open_page: Open, store) -> None:
    filling.fill(store, filling.make_trials(["dense", "prune:layers,count=3", "prune:layers,count=5"]))
    app = open_page("distil", student="prune:layers,count=6")
    assert "The nearest setting that was measured" in said(app)
    assert "Measured: 5 layers removed" in said(app)


def test_distillation_is_said_to_be_missing_and_nonsense_in_the_address_is_left_out(open_page: Open) -> None:
    app = open_page("distil", student="a teacher", sentence="99", mix="7")
    assert "Distillation itself is not offered yet" in said(app)
    setting = drawn(app)["setting"]
    assert (setting["student"], setting["sentence"], setting["mix"]) == ("quantize:rtn,bits=4,group_size=64", "0", 1)
    assert not app.button


def test_a_model_whose_students_could_not_be_made_is_a_sentence(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = packs.shipped(DEFAULT_MODEL)
    assert made is not None
    alone = replace(made, lesson=replace(made.lesson, speakers=made.lesson.speakers[:1]))
    monkeypatch.setattr("engine.teaching.packs.shipped", lambda name: alone)
    assert "nothing to draw" in said(open_page("distil"))


def test_a_model_that_can_not_be_cut_has_the_other_pictures(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    made = packs.shipped(DEFAULT_MODEL)
    assert made is not None
    uncut = replace(made, cuts=())
    monkeypatch.setattr("engine.teaching.packs.shipped", lambda name: uncut)
    app = open_page("slice")
    assert "cloud and the spectrum are its own" in said(app)
    assert "What the model says after it" not in said(app)
    assert drawn(app)["spectrum"]["turned"]


@pytest.fixture
def local(
    open_page: Open, tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], AppTest]:
    """Open Quantize on a local model that has no pack."""
    folder = str(tiny_folder("llama"))
    monkeypatch.setattr("pages.shared.teaching._others", lambda: [folder])
    return lambda: open_page("quantize", model=folder)


def test_a_model_without_a_pack_offers_to_prepare_it(
    local: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = local()
    assert "has not been done yet" in said(app)
    assert not app.get("bidi_component")[1:]
    made = packs.shipped(DEFAULT_MODEL)
    monkeypatch.setattr("engine.teaching.packs.prepare", lambda source, report: made)
    app.button(key="teaching:prepare").click().run()
    assert not app.exception
    assert "One outlier stretches the whole grid" in said(app)


def test_a_pack_that_can_not_be_made_is_a_sentence(
    local: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: object, report: object) -> None:
        raise InputError("the parts of the model family 'gpt2' are not known")

    app = local()
    monkeypatch.setattr("engine.teaching.packs.prepare", fail)
    app.button(key="teaching:prepare").click().run()
    assert "not known" in app.error[0].value
