"""Present: filled, with its choices, restored from its address, and with a saved sweep."""

import pytest

from engine.store import saved, shelf
from tests.pages import filling
from tests.pages.conftest import downloads, said


def test_a_sweep_without_its_original_is_nothing_to_present(open_page, store):
    filling.fill(store, filling.make_trials(("quantize:rtn,bits=8",)), finish=0)
    assert "Nothing to present yet" in said(open_page("present"))


def test_the_knee_is_recommended_with_gain_cost_and_what_breaks(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("present")
    words = said(app)
    for part in (
        "How small can SmolLM2",
        "Recommendation",
        "Gain",
        "Cost",
        "What breaks",
        "The picks",
        "Measured here",
    ):
        assert part in words.replace("\u2011", "-")
    assert "The knee" in words
    assert "Smallest within 2 points" in words
    assert app.get("plotly_chart")
    assert {"Download the report", "Download CSV", "Save these results to a file"} <= set(downloads(app))


def test_price_and_memory_move_the_figures_and_the_address(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("present")
    assert "fits in 1 GB" in said(app)
    app.number_input(key="present:memory").set_value(0.05).run()
    app.number_input(key="present:price").set_value(3.6).run()
    assert "does not fit in 0.05 GB" in said(app)
    assert "at 3.60 an hour" in said(app)
    assert (app.query_params["memory"], app.query_params["price"]) == ("0.05", "3.6")


def test_a_speed_that_was_not_measured_says_so(open_page, store):
    filling.fill(store, filling.make_trials())
    words = said(open_page("present"))
    assert "not measured" in words
    assert "the original –" not in words


def test_an_address_restores_the_view(open_page, store):
    filling.fill(store, filling.make_trials())
    trial = next(row.trial_id for row in store.rows() if row.recipe.startswith("prune:layers,count=3"))
    app = open_page("present", axes="memory-quality", picks=f"{trial},original", points="5", memory="0.3", price="2")
    assert app.session_state["present:picks"] == [trial, "original"]
    assert app.session_state["present:axes"] == "memory-quality"
    assert "3 layers removed" in said(app)
    assert "over peak memory" in said(app)


def test_nonsense_in_the_address_falls_back(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("present", axes="beauty", picks="nobody", points="-1", memory="much", of="zzz")
    assert app.session_state["present:picks"] == ["knee", "within"]
    assert app.session_state["present:memory"] == 1.0
    assert "Recommendation" in said(app)


def test_a_pick_that_is_not_there_is_said_with_what_is_shown(open_page, store):
    filling.fill(store, filling.make_trials())
    notes = [note.value.replace("\\", "") for note in open_page("present", picks="nobody").info]
    assert notes == [
        "A pick that the link names is not among these results. Shown: The knee, Smallest within the margin."
    ]
    app = open_page("present", picks="nobody,original,noone")
    assert app.session_state["present:picks"] == ["original"]
    assert "2 picks that the link names are not among these results" in app.info[0].value
    app.run()  # as a phone runs a page again, once its width is known
    assert "2 picks that the link names are not among these results" in app.info[0].value
    app.number_input(key="present:memory").set_value(0.05).run()
    assert not app.info


def test_other_results_that_the_reader_chose_lack_no_pick_of_the_link(open_page, store):
    filling.fill(store, filling.make_trials())
    filling.fill(store, filling.make_trials(limit=50))
    found = {row.protocol["limit"]: row for row in store.rows() if row.recipe.startswith("prune:layers,count=3")}
    app = open_page("present", of=f"mine-{found[100].comparison_id}", picks=found[100].trial_id)
    assert app.session_state["present:picks"] == [found[100].trial_id]
    app.selectbox(key="present:of").set_value(f"mine-{found[50].comparison_id}").run()
    assert app.session_state["present:picks"] == ["knee", "within"]
    assert not app.info


def test_no_pick_at_all_is_said(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("present")
    app.multiselect(key="present:picks").set_value([]).run()
    assert not app.exception
    assert "Choose a pick" in said(app)


def test_two_results_have_no_knee_and_the_page_says_so(open_page, store):
    filling.fill(store, filling.make_trials(("dense", "quantize:rtn,bits=8")))
    app = open_page("present", picks="knee")
    assert "No knee" in said(app)


def test_recorded_results_say_so(open_page, store, record):
    filling.fill(store, filling.make_trials())
    rows = record()
    app = open_page("present", of=f"recorded-{rows[0].comparison_id}")
    assert "Recorded on Test CPU, 2 January 2026" in said(app)
    assert "Save these results to a file" not in downloads(app)


def test_names_of_models_are_never_markup(open_page, store):
    filling.fill(store, filling.make_trials(model="<img src=x onerror=alert(1)>"))
    assert "<img" not in said(open_page("present"))


def test_a_saved_sweep_is_shown_read_only_on_every_page_that_decides(open_page, store):
    filling.fill(store, filling.make_trials(limit=80))
    name = shelf.put(saved.content(store), "theirs.kneepoint")
    row = next(row for row in store.rows() if row.recipe.startswith("quantize:rtn,bits=8"))
    key = f"saved-{name}-{row.comparison_id}"
    for page in ("present", "explore"):
        app = open_page(page, of=key)
        assert app.session_state[f"{page}:of"] == key
        assert app.button(key=f"{page}:close_saved").label == "Close this saved sweep"
    assert "Saved sweep, read-only" in said(open_page("present", of=key))
    result = open_page("result", trial=row.trial_id, **{"from": "recorded"})
    assert "8-bit" in said(result)


def test_closing_a_saved_sweep_goes_back_to_ones_own(open_page, store):
    filling.fill(store, filling.make_trials())
    name = shelf.put(saved.content(store), "theirs.kneepoint")
    comparison = store.rows()[0].comparison_id
    app = open_page("present", of=f"saved-{name}-{comparison}")
    app.button(key="present:close_saved").click().run()
    assert not app.exception
    assert shelf.names() == []
    assert app.session_state["present:of"] == f"mine-{comparison}"


def test_a_link_to_a_saved_sweep_that_is_not_here_says_so(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("present", of="saved-0123456789ab-0123456789abcdef")
    assert "was not opened here" in app.info[0].value


@pytest.mark.parametrize("page", ["explore", "present", "start", "ten_times", "trade_offs"])
def test_a_link_to_results_that_are_not_here_says_so(page, open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page(page, of="mine-0123456789abcdef")
    assert "not on this machine" in app.info[0].value
    assert not open_page(page, of=f"mine-{store.rows()[0].comparison_id}").info


def test_a_saved_sweep_is_all_that_is_needed(open_page, store, monkeypatch: pytest.MonkeyPatch, tmp_path):
    filling.fill(store, filling.make_trials())
    shelf.put(saved.content(store), "theirs.kneepoint")
    monkeypatch.setenv("KNEEPOINT_STORE", f"sqlite:///{tmp_path / 'empty.db'}")
    app = open_page("present")
    assert "Saved sweep, read-only: measured on Test CPU" in said(app)
    assert "Recommendation" in said(app)
