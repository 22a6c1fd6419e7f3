"""A third metric, other scales and papers' figures on a front: the front itself stays what it is."""

from dataclasses import replace

import pytest

from engine.analysis.front import find_front
from engine.analysis.relative import TOGETHER, together
from engine.plots import Extras, front_data, front_figure
from engine.plots.third import find_third
from tests.made_rows import sweep

ROWS = sweep()[0]
RELATIVE = together(ROWS)


def test_area_grows_with_the_third_metric_and_what_lacks_it_is_smallest() -> None:
    data = front_data(find_front(ROWS), extras=Extras(third="decode_speedup"))
    sizes = {mark.row.trial_id: mark.size for mark in data.marks}
    fastest, slowest, missing = (sizes[ROWS[n].trial_id] for n in (7, 0, 3))
    assert (fastest, slowest, missing) == (26, 8, 8)
    assert data.third is not None
    assert data.third.legend == ["larger: more decoding speed-up", "1.00x to 1.6x", "smallest: not measured"]


def test_the_share_of_a_logarithmic_metric_is_taken_on_its_logarithm() -> None:
    metrics = [{"weight_bytes": size} for size in (1e6, 10e6, 100e6)]
    rows = [replace(ROWS[0], metrics=m) for m in metrics]
    third = find_third(rows, "weight_bytes", "shade")
    assert third is not None
    assert [third.share(r) for r in rows] == pytest.approx([0, 0.5, 1])
    assert third.across(rows[0]) is None


def test_a_shade_leaves_the_familys_hue_to_the_outline() -> None:
    figure = front_figure(find_front(ROWS), extras=Extras(third="perplexity", shown_by="shade"))
    trace = next(t for t in figure.data if t.name == "quantize front" and not t.marker.symbol.endswith("-dot"))
    assert trace.marker.line.color == "#0072B2"
    assert "#0072B2" not in trace.marker.color


def test_scales_change_the_picture_and_neither_the_front_nor_the_knee() -> None:
    plain, scales = find_front(ROWS), Extras(x_scale="linear", y_scale="log")
    linear = front_data(plain, scales)
    assert (linear.front.x.scale, linear.front.y.scale) == ("linear", "log")
    assert linear.front.best == plain.best
    assert linear.front.knee == plain.knee
    layout = front_figure(plain, extras=scales).layout
    assert (layout.xaxis.type, layout.xaxis2.type, layout.yaxis.type) == ("linear", "linear", "log")


def test_a_logarithm_is_left_where_a_value_has_none() -> None:
    data = front_data(find_front(RELATIVE, "compression_ratio", "accuracy_change", TOGETHER), Extras(y_scale="log"))
    assert data.front.y.scale == "linear"


def test_papers_stand_on_relative_axes_only_and_never_on_the_front() -> None:
    asked = Extras(papers=True)
    assert front_data(find_front(ROWS), extras=asked).papers == ()
    front = find_front(RELATIVE, "compression_ratio", "perplexity_ratio", TOGETHER)
    data = front_data(front, asked)
    assert len(data.papers) > 20
    assert data.front.best == front.best
    assert data.x_range[0] < min(mark.x for mark in data.papers)
    assert data.x_range[1] > max(mark.x for mark in data.papers)
    scores = front_data(find_front(RELATIVE, "compression_ratio", "accuracy_change", TOGETHER), asked).papers
    assert {mark.figure.measure for mark in scores} == {"score"}


def test_papers_marks_are_crosses_with_their_source_that_open_nothing() -> None:
    figure = front_figure(
        find_front(RELATIVE, "compression_ratio", "perplexity_ratio", comparison=TOGETHER), extras=Extras(papers=True)
    )
    trace = next(t for t in figure.data if t.name == "papers")
    assert trace.customdata is None
    assert trace.marker.symbol == "cross-open"
    assert all("Published: arXiv " in text for text in trace.hovertext)
    assert max(trace.y) == 50  # what diverged stands at the axis's end
    assert any("SliceGPT, " in (note.text or "") for note in figure.layout.annotations)
    assert any("crosses: published" in (note.text or "") for note in figure.layout.annotations)
