"""Start: results of one's own, recorded results."""

import re

import pytest

from tests.pages import filling
from tests.pages.conftest import downloads, pictures, run_at, said


def picture_id(app) -> str:
    """Which picture the reader sees: with another id it starts anew."""
    blocks = app.get("bidi_component")
    return next(block.proto.id for block in blocks if block.proto.component_name == "kneepoint_start_budget")


def test_own_results_answer_with_numbers_before_the_chart(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("start")
    blocks = list(app.main)
    chart = [block.type for block in blocks].index("plotly_chart")
    before = " ".join(str(block.proto) for block in blocks[:chart])
    for words in ("Best within", "smaller", "Measured here"):
        assert words in before
    weights, right = "Bytes of the packed tensors[^>]*>Weights", "Share of items[^>]*>Mean accuracy"
    assert re.search(f'Axes: <span[^>]*"{weights}</span> · <span[^>]*"{right}', said(app))
    assert "Download CSV" in downloads(app)


def test_the_budget_rewrites_the_sentence(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("start")
    sent = pictures(app)["start_budget"]
    assert sent["answers"][0]["says"].startswith("Nothing measured fits {budget}")
    assert sent["answers"][0]["figures"] == ""
    assert sent["answers"][-1]["says"].startswith("Best within {budget}: the original model")
    for answer in sent["answers"][1:]:
        size = re.search(r'<div class="kp-value">([\d.]+\u00a0MB)</div>', answer["figures"])
        assert size
        assert size[1] in answer["says"]
    run_at(app, budget=f"{sent['most']:.0f}")
    assert pictures(app)["start_budget"]["setting"]["budget"] == sent["most"]
    assert app.query_params["budget"] == f"{sent['most']:.0f}"


def test_a_new_result_is_among_the_answers_and_starts_the_picture_anew(open_page, store):
    filling.fill(store, filling.make_trials(["dense", "quantize:rtn,bits=8", "prune:layers,count=3"]))
    app = open_page("start")
    before, id_before = pictures(app)["start_budget"], picture_id(app)
    app.run()
    assert (pictures(app)["start_budget"], picture_id(app)) == (before, id_before)
    filling.fill(store, filling.make_trials(["dense", "quantize:rtn,bits=4"]))
    app.run()
    assert picture_id(app) != id_before
    assert len(pictures(app)["start_budget"]["answers"]) > len(before["answers"])


@pytest.mark.parametrize("page", ["explore", "present", "ten_times", "trade_offs"])
def test_every_page_begins_with_the_same_results(page, open_page, store, record):
    filling.fill(store, filling.make_trials(["dense", "quantize:rtn,bits=4"]))
    record()
    assert open_page(page).selectbox(key=f"{page}:of").value.startswith("recorded-")
    filling.fill(store, filling.make_trials())
    assert open_page(page).selectbox(key=f"{page}:of").value.startswith("mine-")


@pytest.mark.parametrize("page", ["start", "runs", "present"])
def test_a_click_on_a_front_opens_the_result(page, open_page, store):
    filling.fill(store, filling.make_trials(["dense", "quantize:rtn,bits=4"]))
    app = open_page(page)
    (chart,) = app.get("plotly_chart")
    assert list(chart.proto.selection_mode) == [chart.proto.SelectionMode.POINTS]
    app.session_state["chart|opened"] = filling.trial_of(store, "quantize:rtn,bits=4")
    app.run()
    assert '<h1 class="kp-title">4-bit, round to nearest' in said(app)


def test_recorded_results_come_first_until_own_ones_make_a_front(open_page, store, record):
    filling.fill(store, filling.make_trials(["dense", "quantize:rtn,bits=4"]))
    record()
    app = open_page("start")
    assert "Recorded on Test CPU, 2 January 2026" in said(app)
    own = next(key for key in app.selectbox(key="start:of").options if key.startswith("Measured here"))
    app.selectbox(key="start:of").select(own).run()
    assert "Measured here" in said(app)
    assert app.query_params["of"].startswith("mine-")
    filling.fill(store, filling.make_trials())
    assert "Measured here" in said(open_page("start"))


def test_broken_recorded_results_are_said_and_cost_nothing_else(open_page, monkeypatch: pytest.MonkeyPatch):
    from engine.errors import InputError

    def broken() -> list[object]:
        raise InputError("recorded results x.json: not JSON")

    monkeypatch.setattr("pages.shared.stored.entries", broken)
    app = open_page("start")
    assert "not JSON" in app.warning[0].value


def test_a_newer_store_is_one_sentence(open_page, store, monkeypatch: pytest.MonkeyPatch, tmp_path):
    (tmp_path / "junk.db").write_text("this is no database at all, not in the least " * 50)
    monkeypatch.setenv("KNEEPOINT_STORE", f"sqlite:///{tmp_path / 'junk.db'}")
    app = open_page("start")
    assert "is no database" in app.error[0].value
