"""What commands print of profiles."""

from engine.cli.terminal import profile_lines
from engine.outcome.latency_cells import Cell, LatencyGrid
from engine.outcome.layer_errors import LayerErrors

PROFILES = {
    "layers": LayerErrors(8, (0.01, 0.5, None, 0.25), (), False, ()).to_dict(),
    "latency_grid": LatencyGrid(
        (Cell("decode", 4, 128, 20.0, 1.0, 10.0, 1.0, 0.5, 0.4, 0.6, "bfloat16", "float32", False),)
    ).to_dict(),
}


def test_profiles_are_told_where_their_measure_was_asked_for() -> None:
    (said,) = profile_lines(PROFILES, ["size", "layers"])
    assert said == "Error of the hidden state: 1% after layer 0, 25% after layer 3; at most 50% after layer 1."
    (table,) = profile_lines(PROFILES, ["latency_grid"])
    assert table.splitlines()[-1].split() == ["decode", "4", "128", "20.0", "10.0", "0.50x", "0.40", "to", "0.60"]
    assert profile_lines({}, ["layers", "latency_grid"]) == []
