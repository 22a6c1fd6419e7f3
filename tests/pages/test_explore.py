"""Explore: filled, filtered, and restored from its address."""

from tests.pages import filling
from tests.pages.conftest import said

_RANGES = [f"explore:{name}:" for name in ("sizes", "right", "same", "speeds")]


def test_the_knee_stands_in_words_beside_the_front(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore")
    assert app.get("plotly_chart")
    assert "knee" in said(app)
    assert len(app.dataframe[0].value) == len(filling.SWEEP)


def test_what_can_not_be_told_from_the_original_says_so_and_what_would_tell(open_page, store):
    filling.fill(store, filling.make_trials())
    trial = filling.trial_of(store, "quantize:rtn,bits=8")
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
    assert "not on this machine, or lack the original" in app.info[0].value
    assert "The chosen result is not among these" in said(app)
    assert app.session_state["explore:axes"] == "size-quality"
    assert app.session_state["explore:families"] == []
    assert "Click a point" in said(app)


def test_a_link_to_other_results_shows_the_quality_that_tells_those_apart(open_page, store, record, monkeypatch):
    filling.fill(store, filling.make_trials())
    comparison = record()[0].comparison_id
    qualities = {True: "perplexity", False: "accuracy"}
    monkeypatch.setattr("pages.exploring.front_view.telling_quality", lambda rows, _: qualities[rows[0].recorded])
    app = open_page("explore")
    assert app.session_state["explore:quality"] == "accuracy"
    app.query_params["of"] = f"recorded-{comparison}"
    app.run()
    assert app.session_state["explore:quality"] == "perplexity"


def test_a_filter_that_hides_results_says_so_and_is_taken_off_at_once(open_page, store):
    filling.fill(store, filling.make_trials())
    every = len(filling.SWEEP)
    app = open_page("explore")
    assert f">{every} results<" in said(app)
    assert "explore:show_all" not in [button.key for button in app.button]
    app = open_page("explore", sizes="9999..99999", families="prune")
    assert f">1 of {every} results<" in said(app)
    app.button(key="explore:show_all").click().run()
    assert f">{every} results<" in said(app)
    assert not {"sizes", "families"} & set(app.query_params)


def test_filters_keep_the_original(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore", families="slice", simulated="no")
    table = app.dataframe[0].value
    assert any("Original model" in name for name in table["Result"])
    assert all("sliced" in name or "Original" in name for name in table["Result"])


def test_recorded_and_own_results_are_never_mixed(open_page, store, record):
    filling.fill(store, filling.make_trials())
    record()
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


def test_the_smallest_result_within_limits_is_named_with_why_the_next_one_fails(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore", loss="15", most="200")
    assert "is the smallest result within 15 points of the original at 95% confidence and of at most 200 MB" in said(
        app
    )
    assert "; the next smaller, " in said(app)
    app.button(key="explore:pick").click().run()
    assert app.query_params["trial"]
    assert app.query_params["loss"] == "15"


def test_limits_that_nothing_keeps_say_which_to_loosen(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore", loss="1", most="60")
    assert "There is no result within 1 point of the original" in said(app)
    assert "loosen" in said(app)
    assert not [button for button in app.button if button.key == "explore:pick"]


def test_moving_a_limit_writes_it_to_the_address(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore")
    app.select_slider(key="explore:faster").set_value("1.2").run()
    assert app.query_params["faster"] == "1.2"
    size = next(slider for slider in app.slider if slider.key.startswith("explore:most:"))
    size.set_value(150).run()
    assert app.query_params["most"] == "150"
    size = next(slider for slider in app.slider if slider.key.startswith("explore:most:"))
    size.set_value(size.max).run()
    assert "most" not in app.query_params


def test_a_range_filters_every_view_and_stays_in_the_address(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore", sizes="-inf..200")
    sizes = [value for value in app.dataframe[0].value["Weights"] if value < 269]
    assert sizes
    assert max(sizes) <= 200
    assert "without the filter" in said(app)
    app.session_state["explore:tab"] = "Map"
    app.run()
    assert app.query_params["sizes"] == "-inf..200"
    assert app.query_params["tab"] == "Map"


def test_each_tab_draws_only_its_own_picture(open_page, store):
    filling.fill(store, filling.make_trials())
    for tab, words in (("Parallel", "Each line is a result"), ("Map", "Every line is one step")):
        app = open_page("explore", tab=tab)
        assert len(app.get("plotly_chart")) == 1
        assert words in said(app)
        assert len(app.dataframe[0].value) == len(filling.SWEEP)


def test_the_hypervolume_stands_under_the_front_with_its_definition(open_page, store):
    filling.fill(store, filling.make_trials())
    text = said(open_page("explore"))
    assert ">Hypervolume 0." in text
    assert "the area that the front dominates" in text


def test_where_the_original_stands_at_zero_there_is_no_hypervolume_and_the_reason_is_said(open_page, store):
    filling.fill(store, filling.make_trials())
    text = said(open_page("explore", axes="relative"))
    assert ">No hypervolume on these axes" in text
    assert "stands at zero as in changes" in text


def test_the_ends_of_the_filter_have_their_units_and_no_digits_too_many(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore")
    formats = {s.label: s.proto.format for s in app.slider if s.key.startswith(tuple(_RANGES))}
    assert formats["Weights"] == "%.0f MB"
    assert {end % 12.5 for end in formats.values()} == {"12 MB", "12.5%", "12.50x"}


def test_two_sweeps_show_how_their_fronts_differ(open_page, store):
    filling.fill(store, filling.make_trials(["dense", "quantize:rtn,bits=4"]), name="Small")
    filling.fill(store, filling.make_trials(["prune:layers,count=3"]), name="Layers")
    first, second = sorted(sweep.id for sweep in store.sweeps())
    app = open_page("explore", sweeps=f"{first},{second}")
    assert ">Small: 0." in said(app)
    assert ">Layers: 0." in said(app)
    assert "of Small</span>" in said(app)


def test_relative_axes_take_published_figures_when_asked(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore", axes="relative", quality="perplexity")
    assert "arXiv" not in app.get("plotly_chart")[0].proto.spec
    app.toggle(key="explore:papers").set_value(True).run()
    assert "arXiv 2401.15024" in app.get("plotly_chart")[0].proto.spec
    assert app.query_params["papers"] == "yes"
    assert len(app.dataframe[0].value) == len(filling.SWEEP)


def test_several_models_stand_on_one_front_on_relative_axes_only(open_page, store):
    filling.fill(store, filling.make_trials())
    filling.fill(store, filling.make_trials(["dense", "quantize:rtn,bits=8"], model="another"), name="Another")
    other = next(row for row in store.rows() if row.model == "another" and row.recipe != "dense")
    together = {"with": f"mine-{other.comparison_id}"}
    assert other.trial_id not in open_page("explore", **together).get("plotly_chart")[0].proto.spec
    app = open_page("explore", axes="relative", trial=other.trial_id, **together)
    assert other.trial_id in app.get("plotly_chart")[0].proto.spec
    assert "8-bit" in said(app)


def test_a_third_metric_and_the_scales_come_back_from_the_address(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("explore", third="decode_speedup", by="shade", scale_x="linear")
    drawn = app.get("plotly_chart")[0].proto.spec
    assert "stronger shade: more decoding speed-up" in drawn
    assert app.session_state["explore:scale_x"] == "linear"
