"""The heat-map of sensitivities: strengths, what is written on cells, and the rings of a mixture."""

import pytest

from engine.outcome.sensitivity import Sensitivity, Way
from engine.plots.layer_heat import LOWEST, heat_data, heat_figure

FOUND = Sensitivity(
    (
        Way("bits", 4, (LOWEST, 1.0, 0.01), (1, 1, 1)),
        Way("bits", 2, (0.5, None, 0.0), (1, 1, 1)),
        Way("sparsity", 0.5, (0.0, 0.001, 0.0), ()),
    ),
    *((1, 1, 1), 1, 64, 4, 16, 64),
)


def test_strengths_are_on_one_logarithmic_scale() -> None:
    four, two, zeros = heat_data(FOUND)
    assert four.strengths == pytest.approx((0.0, 1.0, 0.5))
    assert two.strengths[1:] == (None, 0.0)
    assert zeros.strengths == pytest.approx((0.0, 0.25, 0.0))
    assert (four.worst, four.written, zeros.written) == (1, "1.0", "")
    assert "0.0100 nats a token" in four.hovers[2]
    assert "overflow" in two.hovers[1]


@pytest.mark.parametrize("compact", [False, True])
def test_a_ring_stands_on_the_width_chosen_for_each_layer(compact: bool) -> None:
    figure = heat_figure(FOUND, (4, 16, 2), "dark", compact=compact)
    *cells, rings = figure.data
    spots = list(zip(*((rings.y, rings.x) if compact else (rings.x, rings.y)), strict=True))
    assert spots == [(0, 0.0), (2, 1.0)]
    assert len(cells) == 3
    assert {note.text for note in figure.layout.annotations} == {"1.0", "0.50", "×"}
    names = [one for row in cells[0].customdata for one in row]
    assert names == ["0", "1", "2"]
    covered = heat_figure(FOUND, (2, 4, 2), compact=compact)
    assert {note.text for note in covered.layout.annotations} == {"×"}
