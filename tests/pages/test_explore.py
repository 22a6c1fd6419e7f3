"""Explore: empty, filled, filtered, and restored from its address."""

from tests.pages import filling
from tests.pages.conftest import said


def test_an_empty_store_says_what_to_do(open_page):
    app = open_page("explore")
    assert "no results yet" in said(app)
    assert app.button(key="explore:new_sweep").label == "New sweep"


def test_the_knee_stands_in_words_beside_the_front(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore")
    assert app.get("plotly_chart")
    assert "knee" in said(app)
    assert len(app.dataframe[0].value) == len(filling.SWEEP)


def test_what_can_not_be_told_from_the_original_says_so_and_what_would_tell(open_page, store):
    filling.fill(store, filling.make_trials())
    trial = next(row.trial_id for row in store.rows() if row.recipe.startswith("quantize:rtn,bits=8"))
    app = open_page("explore", trial=trial)
    assert ">Not distinguishable</span>" in said(app)
    assert "questions of this kind would settle a difference of 2 points" in said(app)
    column = app.dataframe[0].value["Against the original"]
    assert {"", "worse", "not distinguishable"} <= set(column)


def test_an_address_restores_the_whole_view(open_page, store):
    filling.fill(store, filling.make_trials())
    trial = next(row.trial_id for row in store.rows() if row.recipe.startswith("prune:layers"))
    app = open_page("explore", axes="speed-quality", quality="perplexity", families="prune,slice", trial=trial)
    assert app.session_state["explore:axes"] == "speed-quality"
    assert app.session_state["explore:quality"] == "perplexity"
    assert app.session_state["explore:families"] == ["prune", "slice"]
    assert "layers removed" in said(app)
    assert app.query_params["axes"] == "speed-quality"
    assert app.query_params["trial"] == trial


def test_nonsense_in_the_address_falls_back_to_the_defaults(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore", axes="<script>", families="soup", trial="nobody", simulated="perhaps", of="zzz")
    assert app.session_state["explore:axes"] == "size-quality"
    assert app.session_state["explore:families"] == []
    assert "Click a point" in said(app)


def test_filters_keep_the_original(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore", families="slice", simulated="no")
    table = app.dataframe[0].value
    assert any("Original model" in name for name in table["Result"])
    assert all("sliced" in name or "Original" in name for name in table["Result"])


def test_recorded_and_own_results_are_never_mixed(open_page, store, monkeypatch):
    from dataclasses import replace

    from engine.results import analyse

    filling.fill(store, filling.make_trials())
    rows = [replace(row, recorded=True) for row in analyse(store.rows(), store.items)]
    monkeypatch.setattr("pages.shared.stored.recorded", lambda: rows)
    app = open_page("explore")
    options = app.selectbox(key="explore:of").options
    assert len(options) == 2
    assert "Measured here" in options[0]
    assert "Recorded on" in options[1]
    assert len(app.dataframe[0].value) == len(filling.SWEEP)


def test_names_of_models_cannot_inject_html(open_page, store):
    filling.fill(store, filling.make_trials(model="<img src=x onerror=alert(1)>"))
    for page in ("start", "explore", "runs"):
        assert "<img" not in said(open_page(page))


def test_no_change_at_all_is_a_number_too(open_page, store):
    filling.fill(store, filling.make_trials())
    dense = next(row for row in store.rows() if row.recipe == "dense")
    assert dense.value("accuracy_change") == 0.0
    assert "Change in accuracy" in said(open_page("explore", trial=dense.trial_id))
