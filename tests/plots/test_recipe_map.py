"""Recipes as a tree: shared beginnings merge, what was not measured is hollow, the layout is deterministic."""

from zlib import crc32

import pytest

from engine.outcome.row import Row
from engine.plots.recipe_map import map_figure
from engine.plots.recipe_tree import recipe_tree
from tests.made_rows import row


def made(recipe: str, megabytes: float, share: float, **more: object) -> Row:
    metrics = {"weight_bytes": 1e6 * megabytes, "top1_agreement": share}
    return row(recipe, f"{crc32(recipe.encode()):016x}", metrics=metrics, **more)


ROWS = [
    made("dense", 256, 1.0),
    made("quantize:rtn,bits=4", 100, 0.7),
    made("slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4", 90, 0.5),
    made("slice:slicegpt,fraction=0.1 | quantize:rtn,bits=8", 150, 0.6),
    made("prune:layers,count=3", 240, 0.65),
]


def test_beginnings_that_are_alike_are_one_branch_and_hollow_unless_measured() -> None:
    tree = recipe_tree(ROWS, "top1_agreement")
    assert [(node.label[:12], node.depth, node.parent, node.row is None) for node in tree.nodes] == [
        ("Original mod", 0, None, False),
        ("4-bit, round", 1, 0, False),
        ("3 layers rem", 1, 0, False),
        ("10% of the w", 1, 0, True),
        ("8-bit, round", 2, 3, False),
        ("4-bit, round", 2, 3, False),
    ]


def test_a_step_on_some_layers_is_not_called_as_one_on_all() -> None:
    rows = [made("dense", 256, 1.0), made("quantize:rtn,bits=8,blocks=0+1 | quantize:rtn,bits=4", 110, 0.8)]
    first, second = [node.label for node in recipe_tree(rows, "top1_agreement").nodes if node.depth]
    assert first.endswith("groups of 64 in layers 0 and 1")
    assert second.endswith("groups of 64 in the other layers")


def test_parents_stand_midway_between_their_first_and_last_child() -> None:
    """Four leaves on lines 0 to 3; the hollow one between 2 and 3; the root between 0 and 2.5."""
    tree = recipe_tree(ROWS, "top1_agreement")
    assert [node.line for node in tree.nodes] == [1.25, 0, 1, 2.5, 2, 3]
    assert tree.lines == 4


def test_indented_every_node_has_a_line_of_its_own() -> None:
    tree = recipe_tree(ROWS, "top1_agreement", indented=True)
    assert [node.line for node in tree.nodes] == [0, 1, 2, 3, 4, 5]
    assert tree.lines == 6


def test_the_order_of_results_changes_nothing() -> None:
    assert recipe_tree(ROWS[::-1], "top1_agreement") == recipe_tree(ROWS, "top1_agreement")
    assert map_figure(ROWS[::-1], "top1_agreement") == map_figure(ROWS, "top1_agreement")


def test_of_too_many_the_named_and_then_the_best_are_drawn_and_the_rest_counted() -> None:
    tree = recipe_tree(ROWS, "top1_agreement", first=[ROWS[2].trial_id], most=3)
    drawn = {node.row.trial_id for node in tree.nodes if node.row}
    assert drawn == {ROWS[0].trial_id, ROWS[2].trial_id, ROWS[1].trial_id}
    assert tree.left_out == 2


def test_how_many_are_not_drawn_is_said() -> None:
    many = [made(f"quantize:rtn,bits=4,group_size={8 * n}", 100, 0.7) for n in range(1, 43)]
    note = map_figure([ROWS[0], *many], "top1_agreement").layout.annotations[-1].text
    assert "3 more are not drawn" in note


@pytest.mark.parametrize("compact", [True, False])
def test_every_result_is_a_node_under_its_trial_id_and_hollow_ones_have_none(compact: bool) -> None:
    figure = map_figure(ROWS, "top1_agreement", compact=compact)
    traces = {trace.name: trace for trace in figure.data}
    assert sorted(traces["recipes"].customdata) == sorted(r.trial_id for r in ROWS)
    assert len(traces["not measured"].x) == 1
    assert traces["not measured"].customdata is None
    assert any("not measured" in note.text for note in figure.layout.annotations)
    assert any("70.0% · 100 MB" in note.text for note in figure.layout.annotations)


def test_area_is_in_proportion_to_bytes_and_shade_to_quality() -> None:
    """100 MB of 256 on circles of the same shape: areas as 90 to 100 where both are circles."""
    trace = next(t for t in map_figure(ROWS, "top1_agreement").data if t.name == "recipes")
    size = dict(zip(trace.customdata, trace.marker.size, strict=True))
    four, both = size[ROWS[1].trial_id], size[ROWS[2].trial_id]
    assert (both / four) ** 2 == pytest.approx(90 / 100)
    fills = dict(zip(trace.customdata, trace.marker.color, strict=True))
    darkness = [int(fills[ROWS[n].trial_id][1:3], 16) for n in (0, 1, 4, 3, 2)]  # from best to worst
    assert darkness == sorted(darkness)


def test_highlighted_results_are_ringed_and_the_simulated_say_so() -> None:
    simulated = made("quantize:rtn,bits=3", 95, 0.4, simulated=True)
    figure = map_figure([*ROWS, simulated], "top1_agreement", [simulated.trial_id])
    ring = next(t for t in figure.data if t.name == "highlight")
    assert len(ring.x) == 1
    assert any("simulated" in note.text for note in figure.layout.annotations)


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS[2:3]])
def test_hardly_anything_is_drawn_too(rows: list[Row]) -> None:
    for compact in (True, False):
        map_figure(rows, "top1_agreement", theme="dark", compact=compact).to_json()
