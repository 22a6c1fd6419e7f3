"""A figure for a room."""

import numpy as np

from engine.analysis.front import find_front
from engine.plots import front_figure
from engine.plots.enlarge import enlarged
from tests.made_rows import sweep

ROWS = sweep()[0]


def test_every_length_grows_and_no_value_moves() -> None:
    small = front_figure(find_front(ROWS), highlighted=[ROWS[2].trial_id])
    large = enlarged(small, 2.0)
    assert large.layout.height == 2 * small.layout.height
    assert large.layout.margin.l == 2 * small.layout.margin.l
    assert large.layout.xaxis.tickfont.size == 2 * small.layout.xaxis.tickfont.size
    assert large.layout.xaxis.range == small.layout.xaxis.range
    before, after = small.to_dict()["data"], large.to_dict()["data"]
    assert [(trace.get("x"), trace.get("y")) for trace in after] == [(t.get("x"), t.get("y")) for t in before]
    for one, other in zip(small.data, large.data, strict=True):
        assert other.customdata == one.customdata
    points = [trace for trace in small.data if trace.mode == "markers"]
    grown = [trace for trace in large.data if trace.mode == "markers"]
    for one, other in zip(points, grown, strict=True):
        assert np.ravel(other.marker.size).tolist() == (2 * np.ravel(one.marker.size)).tolist()
    for one, other in zip(small.layout.annotations, large.layout.annotations, strict=True):
        assert other.font.size == 2 * one.font.size
        assert (other.x, other.y, other.text) == (one.x, one.y, one.text)


def test_on_a_stage_nothing_is_smaller_than_the_design_asks() -> None:
    figure = enlarged(front_figure(find_front(ROWS)))
    assert figure.layout.xaxis.tickfont.size >= 20
    assert figure.layout.xaxis.title.font.size >= 22
    assert min(a.font.size for a in figure.layout.annotations) >= 19
