"""What the picture of a front is sent: places, who is on the front, who may be picked."""

import json
from dataclasses import replace

import pytest

from engine.analysis.front import find_front
from engine.plots import FAMILIES
from engine.plots.front_lesson import MOST, front_lesson
from tests.made_rows import row, sweep

ROWS = sweep()[0]
CONTENT = front_lesson(ROWS)
POINTS = {point["id"]: point for point in CONTENT["points"]}


def test_it_is_json_with_a_point_for_every_finished_result() -> None:
    failed = row("prune:layers,count=9", "f" * 16, state="failed", reason="no memory")
    assert json.loads(json.dumps(front_lesson([*ROWS, failed])))["points"] == json.loads(json.dumps(CONTENT))["points"]
    assert set(POINTS) == {r.trial_id for r in ROWS}
    assert CONTENT["count"] == {"all": len(ROWS), "front": len(find_front(ROWS).best)}


def test_places_lie_inside_and_keep_the_order_of_size_and_quality() -> None:
    for name, side in (("weight_bytes", "x"), ("accuracy", "y")):
        values = sorted(ROWS, key=lambda r: r.metrics[name])
        places = [POINTS[r.trial_id][side] for r in values]
        assert places == sorted(places)
        assert 0 < places[0] < places[-1] < 1


def test_equal_sizes_have_the_same_place() -> None:
    assert POINTS[ROWS[0].trial_id]["x"] == POINTS[ROWS[4].trial_id]["x"]


def test_the_front_is_the_engines() -> None:
    assert {trial for trial, point in POINTS.items() if point["front"]} == find_front(ROWS).best_ids


def test_the_browser_s_rule_for_domination_finds_the_same_front() -> None:
    def beats(a, b) -> bool:
        return a["x"] <= b["x"] and a["y"] >= b["y"] and (a["x"] < b["x"] or a["y"] > b["y"])

    for point in POINTS.values():
        assert point["front"] == (not any(beats(other, point) for other in POINTS.values()))


def test_simulated_and_flattered_results_are_never_picked() -> None:
    own_grid = replace(ROWS[2], recipe="quantize:rtn,bits=4,group_size=32,symmetric=false", trial_id="e" * 16)
    points = {point["id"]: point["pick"] for point in front_lesson([*ROWS, own_grid])["points"]}
    assert not points[own_grid.trial_id]
    assert not points[ROWS[3].trial_id]
    assert points[ROWS[2].trial_id]


def test_simulated_results_are_marked_and_combinations_ringed_by_their_first_step() -> None:
    assert {trial for trial, point in POINTS.items() if point["simulated"]} == {ROWS[n].trial_id for n in (3, 4)}
    rings = {trial: point["ring"] for trial, point in POINTS.items() if point["ring"]}
    assert rings == {ROWS[7].trial_id: FAMILIES["slice"].colour}


def test_ticks_and_lines_say_where_they_stand() -> None:
    ratios = {text: at for at, text in CONTENT["ticks"]["ratio"]}
    assert ratios["1x"] == pytest.approx(POINTS[ROWS[0].trial_id]["x"])
    lines = {line["name"]: line["y"] for line in CONTENT["lines"]}
    assert lines["original"] == pytest.approx(POINTS[ROWS[0].trial_id]["y"])
    assert lines["guessing"] < lines["original"]
    assert "knee" in CONTENT["knee"]["says"]


def test_of_too_many_results_the_front_is_drawn_whole() -> None:
    metrics = ROWS[6].metrics
    crowd = [
        row(f"slice:slicegpt,fraction={0.5 + n / 4000:.5f}", f"{n:016x}"[::-1], metrics={
            **metrics, "weight_bytes": metrics["weight_bytes"] + 1e4 * n, "accuracy": 0.31
        })
        for n in range(1, 900)
    ]  # fmt: skip
    content = front_lesson([*ROWS, *crowd])
    assert MOST / 2 < len(content["points"]) <= MOST
    assert {point["id"] for point in content["points"] if point["front"]} == find_front([*ROWS, *crowd]).best_ids
    assert content["count"]["all"] == len(ROWS) + 899
