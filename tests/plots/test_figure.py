import json
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import plotly.graph_objects as go
import pytest

from engine.analysis.front import find_front
from engine.metrics import PRESETS
from engine.outcome.row import Row
from engine.plots import FAMILIES, Y_CHOICES, front_data, front_figure
from engine.plots.axes import Canvas, log_ticks
from engine.plots.labels import place_labels
from engine.plots.placement import Box
from engine.recorded import recorded
from tests.made_rows import DENSE_BYTES, row, sweep

ROWS = sweep()[0]
FAILED = Row(
    "f" * 16,
    "group",
    "m",
    "prune:layers,count=9",
    {},
    state="failed",
    reason="ran out of memory <img src=x onerror=alert(1)> %{x}",
)


def drawn(figure: go.Figure) -> dict[str, tuple[str, Any]]:
    """Trial id -> the trace's name and its marker."""
    return {t: (trace.name, trace) for trace in figure.data if trace.customdata for t in trace.customdata}


def test_every_result_is_drawn_once_under_its_trial_id() -> None:
    figure = front_figure(find_front([*ROWS, FAILED]))
    ids = [t for trace in figure.data if trace.customdata is not None for t in trace.customdata]
    assert sorted(ids) == sorted(r.trial_id for r in [*ROWS, FAILED])


def test_families_have_the_colours_and_shapes_of_the_design() -> None:
    traces = drawn(front_figure(find_front(ROWS)))
    layers = traces[ROWS[5].trial_id][1]
    assert (layers.marker.symbol, layers.marker.line.color, layers.marker.size) == ("square", "#D55E00", 8)
    four = traces[ROWS[2].trial_id][1]
    assert (four.marker.symbol, four.marker.color, four.marker.size) == ("circle", "#0072B2", 12)
    both = traces[ROWS[7].trial_id][1]
    assert (both.marker.symbol, both.marker.color) == ("hexagon", "#65656B")
    assert both.marker.line.color == (FAMILIES["slice"].colour,)  # ringed in its first step's hue
    assert traces[ROWS[0].trial_id][1].marker.symbol == "star"


def test_simulated_results_are_open_dots_and_off_the_latency_front() -> None:
    assert drawn(front_figure(find_front(ROWS)))[ROWS[3].trial_id][1].marker.symbol == "circle-open-dot"
    assert ROWS[3].trial_id not in drawn(front_figure(find_front(ROWS, *PRESETS["speed-quality"])))


def test_a_mark_that_stands_on_an_axis_is_drawn_whole() -> None:
    assert all(trace.cliponaxis is False for _, trace in drawn(front_figure(find_front(ROWS))).values())


def test_the_front_is_a_step_line_along_the_axes() -> None:
    data = front_data(find_front(ROWS))
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(data.step))
    corners = {(m.x, m.y) for m in data.marks if m.kind == "front"}
    assert corners <= set(data.step)
    ys = [y for _, y in data.step]
    assert ys == sorted(ys)
    assert data.step[0][1] == data.y_range[0]
    assert data.step[-1][0] == data.x_range[1]


def test_whiskers_of_either_accuracy_are_the_paired_interval_around_the_originals() -> None:
    for score in ("accuracy", "accuracy_norm"):
        data = front_data(find_front(ROWS, "weight_bytes", score))
        mark = next(m for m in data.marks if m.row.trial_id == ROWS[2].trial_id)
        base, low = ROWS[0].value(score), ROWS[2].value(f"{score}_change_low")
        assert mark.low == pytest.approx(100 * ((base or 0) + (low or 0)))
        assert data.guessing == pytest.approx(30)


def test_where_faster_is_right_the_step_falls_to_the_right() -> None:
    data = front_data(find_front(ROWS, "decode_speedup", "accuracy"))
    ys = [y for _, y in data.step]
    assert ys == sorted(ys, reverse=True)
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(data.step))


def test_axes_reach_from_below_guessing_to_above_the_original() -> None:
    data = front_data(find_front(ROWS))
    assert data.y_range[0] < 30 < 50 < data.y_range[1]
    assert (data.guessing, data.original) == (pytest.approx(30), pytest.approx(50))
    assert data.x_range[0] < 0.32 * DENSE_BYTES / 1e6 < DENSE_BYTES / 1e6 < data.x_range[1]


def test_the_upper_axis_counts_from_dense_in_bf16() -> None:
    axis = front_figure(find_front(ROWS)).layout.xaxis2
    at = dict(zip(axis.ticktext, axis.tickvals, strict=True))
    assert at["1x"] == pytest.approx(DENSE_BYTES / 1e6)
    assert at["2x"] == pytest.approx(DENSE_BYTES / 2e6)
    assert (axis.side, axis.matches) == ("top", "x")


def test_whiskers_stand_on_the_front_only() -> None:
    for trace in front_figure(find_front(ROWS)).data:
        if trace.customdata is not None:
            assert (trace.error_y.array is not None) == (trace.name.endswith("front"))


def test_reference_lines_corner_and_knee_are_there() -> None:
    figure = front_figure(find_front(ROWS))
    assert {shape.line.dash for shape in figure.layout.shapes} >= {"dash", "dot"}
    texts = [a.text for a in figure.layout.annotations]
    assert {"better ↖", "original 50.0%", "guessing 30.0%"} <= set(texts)
    assert any(text.startswith("Knee: ") for text in texts)
    assert "Test CPU · 2 threads · fp32 · batch 1" in texts[1]
    assert "tokens" not in texts[1]
    next_words = front_figure(find_front(ROWS, y="top1_agreement"))
    assert any("n = 32 x 512 tokens" in (a.text or "") for a in next_words.layout.annotations)


def test_perplexity_is_logarithmic_clipped_and_better_downwards() -> None:
    wild = replace(ROWS[3], metrics={**ROWS[3].metrics, "perplexity": 5e5})
    rows = [*ROWS[:3], wild, *ROWS[4:]]
    figure = front_figure(find_front(rows, y="perplexity"))
    mark = next(m for m in front_data(find_front(rows, y="perplexity")).marks if m.row is wild)
    assert (mark.y, mark.clipped) == (1000, True)
    assert figure.layout.yaxis.type == "log"
    texts = [a.text for a in figure.layout.annotations]
    assert "↑" in texts
    assert "better ↙" in texts


def test_a_failed_trial_is_a_cross_on_the_baseline_with_its_reason() -> None:
    name, trace = drawn(front_figure(find_front([*ROWS, FAILED])))[FAILED.trial_id]
    assert (name, trace.marker.symbol) == ("failed", "x-thin")
    assert trace.y[0] == front_data(find_front([*ROWS, FAILED])).y_range[0]
    assert "ran out of memory" in trace.hovertext[0]


def test_nothing_a_user_or_model_says_becomes_html() -> None:
    evil = replace(ROWS[2], environment={**ROWS[2].environment, "cpu": "<script>alert(1)</script>"})
    dense = replace(ROWS[0], environment=evil.environment)
    text = front_figure(find_front([dense, evil, *ROWS[3:], FAILED])).to_json()
    content = json.loads(text)
    assert "<img" not in text.replace("\\u003c", "<")
    assert "<script" not in text.replace("\\u003c", "<")
    assert "&lt;img" in text.replace("\\u0026", "&")
    assert all("hovertemplate" not in trace for trace in content["data"])


def test_hovers_have_four_lines() -> None:
    for mark in front_data(find_front(ROWS)).marks:
        assert len(mark.hover.split("<br>")) == 4
    four = next(m for m in front_data(find_front(ROWS)).marks if m.row is ROWS[2])
    assert four.hover.split("<br>") == [
        "<b>4-bit, round to nearest, groups of 64</b>",
        "113 MB · 2.4x smaller than bf16",
        "Accuracy: 46.0% · −4.0 ± 3.1 points",
        "On the front",
    ]


def test_highlighted_points_are_ringed_by_a_trace_of_their_own() -> None:
    figure = front_figure(find_front(ROWS), highlighted=[ROWS[6].trial_id, "unknown"])
    ring = next(trace for trace in figure.data if trace.name == "highlight")
    assert ring.customdata == (ROWS[6].trial_id,)
    assert any("20% of the width" in a.text for a in figure.layout.annotations)


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("y", Y_CHOICES)
@pytest.mark.parametrize("x", [x for x, _ in PRESETS.values()])
def test_labels_are_few_and_cover_neither_each_other_nor_the_line_names(x: str, y: str, compact: bool) -> None:
    metrics = [{**r.metrics, "top1_agreement": 0.6 + (r.value("accuracy") or 0) / 2} for r in ROWS]
    sized = [{**m, "peak_memory_bytes": (m["weight_bytes"] or 0) + 2e8} for m in metrics]
    rows = [replace(r, metrics=m) for r, m in zip(ROWS, sized, strict=True)]
    data = front_data(find_front(rows, x, y))
    canvas = Canvas(360 if compact else 720, 480, compact, data)
    names, labels = place_labels(data, canvas, frozenset())
    assert 1 <= len(labels) <= (4 if compact else 7)
    boxes = [*(n.box for n in names), *(label.box for label in labels)]
    assert not any(a.overlap(b) for a, b in combinations(boxes, 2))
    assert all(box.inside(canvas.area) for box in boxes)


def test_the_name_of_a_line_moves_along_it_where_marks_stand_at_both_ends() -> None:
    data = front_data(find_front(ROWS))
    canvas = Canvas(720, 480, False, data)
    first = min((mark for mark in data.marks if mark.low is not None), key=lambda mark: mark.x)
    ten_pixels = 10 * (data.y_range[1] - data.y_range[0]) / canvas.area.top
    last = tuple(replace(first, x=data.x_range[1], y=first.y + way * ten_pixels, low=None) for way in (1, -1))
    (name, _), _ = place_labels(replace(data, original=first.y, marks=(*data.marks, *last)), canvas, frozenset())
    assert name.text.startswith("original")
    assert canvas.pixel(first.x, first.y)[0] + 3 <= name.box.left
    assert name.box.right < canvas.area.right - first.size / 2


def test_on_a_phone_the_name_of_a_line_leaves_out_its_value_rather_than_cover_whiskers() -> None:
    data = front_data(find_front(ROWS))
    ten = 10 * (data.y_range[1] - data.y_range[0]) / 440
    first = min((mark for mark in data.marks if mark.low is not None), key=lambda mark: mark.x)
    low, high = data.x_range
    places = [low * (high / low) ** share for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    whiskers = {"kind": "front", "y": first.y, "low": first.y - 3 * ten, "high": first.y + 3 * ten}
    row = tuple(replace(mark, x=places[n % 5], **whiskers) for n, mark in enumerate(data.marks))
    crowded = replace(data, original=first.y, marks=row, step=())
    (name, _), _ = place_labels(crowded, Canvas(360, 440, True, crowded), frozenset())
    assert name.text == "original"
    across = [Canvas(360, 440, True, crowded).pixel(mark.x, mark.y)[0] for mark in row]
    assert not any(name.box.left < x + 3 and x - 3 < name.box.right for x in across)
    (name, _), _ = place_labels(crowded, Canvas(720, 440, False, crowded), frozenset())
    assert name.text.startswith("original ")


def test_the_name_of_a_line_covers_no_ring_and_is_not_struck_through_by_a_front_along_it() -> None:
    data = front_data(find_front(ROWS))
    pixel = (data.y_range[1] - data.y_range[0]) / 480
    canvas = Canvas(720, 480, False, data)
    other = next(mark for mark in data.marks if mark.kind == "dominated")
    marks = tuple(replace(mark, y=mark.y - 40 * pixel, low=None) for mark in data.marks)
    first = replace(other, x=data.x_range[0] * 1.05, y=data.original - 5 * pixel)
    along = tuple((x, data.original + 4 * pixel) for x in data.x_range)
    beside = replace(data, marks=(*marks, first), step=along)
    (bare, _), _ = place_labels(beside, canvas, frozenset())
    (name, _), _ = place_labels(beside, canvas, frozenset([first.row.trial_id]))
    height, (left, centre) = canvas.pixel(*along[0])[1], canvas.pixel(first.x, first.y)
    assert (bare.box.left, name.text) == (0.0, bare.text)
    assert not any(n.box.bottom < height + 2 and height - 2 < n.box.top for n in (bare, name))
    ring = Box(left, centre, left, centre).grown(13)
    assert name.box.overlap(ring) == 0 < name.box.left


@pytest.mark.parametrize("rows", [[], [FAILED], ROWS[:1], [replace(r, state="queued") for r in ROWS]])
def test_sweeps_that_have_hardly_begun_are_drawn_too(rows: list[Row]) -> None:
    for theme in ("light", "dark"):
        front_figure(find_front(rows), theme=theme, compact=True).to_json()  # type: ignore[arg-type]


def test_nothing_is_smaller_than_twelve_pixels() -> None:
    def sizes(node: Any) -> list[float]:
        if isinstance(node, dict):
            own = [node["size"]] if isinstance(node.get("size"), int) and ("color" in node or "family" in node) else []
            return own + [s for value in node.values() for s in sizes(value)]
        return [s for value in node for s in sizes(value)] if isinstance(node, list) else []

    layout = json.loads(front_figure(find_front(ROWS), compact=True).to_json())["layout"]
    layout.pop("template", None)
    assert min(sizes(layout)) >= 12


def test_a_single_result_has_a_front_and_no_knee() -> None:
    one = [row(metrics={"weight_bytes": 5e6, "accuracy": 0.4})]
    assert front_data(find_front(one)).front.knee is None
    assert len(front_data(find_front(one)).step) == 3


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (70, 320, 8, [70, 100, 150, 200, 250, 300]),
        (70, 320, 4, [70, 100, 200, 300]),
        (10, 2000, 4, [10, 100, 1000]),
        (0.83, 1.3, 6, [0.9, 1, 1.1, 1.2, 1.3]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_few_and_round(low: float, high: float, most: int, ticks: list[float]) -> None:
    assert log_ticks(low, high, most) == pytest.approx(ticks)


def test_labels_that_lie_apart_have_lines_that_plotly_draws() -> None:
    """It takes a point for inside a text whose corner is exactly on the point's diagonal to the lower right."""
    notes = [note for note in front_figure(find_front(recorded())).layout.annotations if note.showarrow]
    assert notes
    assert [note.text for note in notes if note.ax == note.ay > 0] == []
