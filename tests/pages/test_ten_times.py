"""Ten times smaller in its states: one result, a sweep, a failed step, a goal, recorded results, the address."""

import re
from dataclasses import replace
from urllib.parse import parse_qs

from engine.recorded import entries
from engine.typesetting import NO_BREAK
from tests.pages import filling
from tests.pages.conftest import downloads, pictures, run_at, said
from tests.pages.test_understand import links

PAGE = "ten_times"


def steps(app) -> list[dict[str, str]]:
    """What the slider down the ladder was sent."""
    return pictures(app)["ten_times_step"]["steps"]


def card(app) -> str:
    """The chosen step's card, with usual spaces before units."""
    (chosen,) = {step["card"] for step in steps(app) if step["key"] == app.session_state["ten_times:step"]}
    return chosen.replace(NO_BREAK, " ")


def test_the_original_alone_is_the_first_step_and_every_size_lies_below_it(open_page, store):
    filling.fill(store, filling.make_trials(["dense"]))
    app = open_page(PAGE)
    assert len(app.get("plotly_chart")) == 1
    assert steps(app)[-1]["name"] == "Not reached: 10x"
    assert "No result of this kind has been measured yet" in said(app)
    assert "recipe=prune" in links(app)["Measure what is missing"]


def test_a_sweep_is_a_ladder_and_the_last_whole_step_is_open(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page(PAGE)
    words = said(app)
    assert "Most next words stay" in words
    assert "The steps in numbers" in words
    assert "5 · " in words
    assert "3-bit, simulated" in words
    assert "does not hold" in words
    assert "All details" in links(app)
    assert "3-bit, round to nearest, groups of 64" in card(app)
    assert all("asymmetric" not in step["card"] for step in steps(app))
    assert "Download CSV" in downloads(app)


def test_a_goal_says_what_it_would_take_and_can_be_tried(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page(PAGE, step="10x")
    words = card(app)
    assert "10 times smaller: not reached yet" in words
    assert "26.9 MB, 1.6 bits for every weight" in words
    assert "does not offer yet" in words
    assert "(linears, embedding): about 26.9 MB, 10x smaller than bf16.</li>" in words
    tried = next(query for label, query in links(app).items() if label.startswith("Try"))
    assert all("bits=2" in recipe for recipe in parse_qs(tried)["recipe"])
    assert app.query_params["step"] == "10x"


def test_going_down_a_step_compares_with_the_one_above(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page(PAGE, step=filling.trial_of(store, "quantize:rtn,bits=8"))
    assert "Against the step above" in card(app)
    (says,) = [step["says"] for step in steps(app) if step["says"].startswith("8-bit")]
    assert re.search(r": [\d.]+ MB, [\d.]+x smaller than bf16, .* Same next word: [\d.]+%\.", says)
    run_at(app, step=filling.trial_of(store, "dense"))
    assert "what every step is compared with" in card(app)


def test_failed_steps_are_named_with_their_reason(open_page, store):
    filling.fill(store, filling.make_trials(["dense", "quantize:rtn,bits=8", "quantize:rtn,bits=4"]), finish=2)
    filling.fail_one(store, "out of memory: it took 9 GB")
    assert "Failed, so not on the ladder: 4-bit" in said(open_page(PAGE))


def test_an_original_without_a_size_is_a_sentence(open_page, monkeypatch):
    key, one = next(iter(entries().items()))
    found = {key: one._replace(row=replace(one.row, metrics={"perplexity": 21.6}))}
    monkeypatch.setattr("pages.shared.stored.entries", lambda: found)
    assert "size was not measured" in said(open_page(PAGE))


def test_recorded_results_climb_down_to_two_bits_and_nonsense_in_the_address_is_left_out(open_page, monkeypatch):
    monkeypatch.setattr("pages.shared.stored.entries", entries)
    app = open_page(PAGE, step="<script>", of="nothing")
    words = said(app)
    assert "down to 4-bit + 4-bit embedding, 3.8x smaller than bf16 and 7.5x than fp32" in words
    assert "Recorded on" in words
    assert "40.3%" in steps(app)[0]["card"]  # by length it does better than guessing
    assert "no better than guessing" not in words
    assert words.count("does not hold") >= 5
    assert "Measure what is missing" not in links(app)
    assert "step" not in app.query_params
