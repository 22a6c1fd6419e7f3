"""Recipes: the text reads back as itself, and every wrong word gets one sentence that says what is allowed."""

import pytest

from engine.errors import InputError
from engine.spec import METHODS, Recipe, parse
from engine.spec.prune import Heads, Neurons


@pytest.mark.parametrize(
    "text",
    [
        "dense",
        "quantize:rtn,bits=4,group_size=64",
        "quantize:rtn,bits=8,group_size=-1,symmetric=false,targets=linears+head",
        "prune:magnitude,sparsity=0.5",
        "prune:magnitude,pattern=2:4",
        "prune:sparsegpt,pattern=4:8,damping=0.1",
        "quantize:gptq,bits=3,group_size=-1,act_order=false,targets=linears+embedding",
        "slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4,group_size=64",
        "prune:wanda,sparsity=0.3,blocks=0+7",
        *METHODS,
    ],
)
def test_text_reads_back_as_the_same_recipe(text: str) -> None:
    recipe = parse(text)
    assert parse(recipe.text) == recipe
    assert recipe.describe()


def test_spaces_and_defaults_do_not_change_a_recipe() -> None:
    assert parse("quantize:rtn") == parse("  quantize : rtn ,bits = 4,  group_size=64 ")


def test_steps_keep_their_order() -> None:
    first, second = parse("prune:layers|quantize:rtn"), parse("quantize:rtn|prune:layers")
    assert first != second
    assert first.family == second.family == "combined"


def test_a_list_has_one_order() -> None:
    assert parse("quantize:rtn,targets=head+linears") == parse("quantize:rtn,targets=linears+head")
    assert parse("quantize:rtn,blocks=10+9") == parse("quantize:rtn,blocks=9+10")


def test_a_setting_that_came_later_is_no_part_of_the_content_at_its_default() -> None:
    (kept,), (rounds,) = (parse(text).canonical() for text in ("prune:layers,count=6", "prune:layers,count=6,rounds=2"))
    assert kept == {"family": "prune", "method": "layers", "version": 1, "count": 6}
    assert rounds == {**kept, "rounds": 2}
    assert parse("prune:neurons").canonical()[0]["rounds"] == 1
    assert "blocks" not in parse("quantize:rtn").canonical()[0]
    assert parse("quantize:rtn,blocks=3").canonical()[0]["blocks"] == (3,)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("quantize:rtn", 0),
        ("prune:neurons,importance=magnitude", 0),
        ("prune:layers,count=4,rounds=2", 3),
        ("prune:layers,count=4,rounds=2,importance=taylor", 8),
        ("prune:layers,importance=magnitude", 0),
        ("prune:heads,importance=taylor,rounds=2", 8),
        ("prune:neurons | slice:slicegpt", 3),
    ],
)
def test_reading_calibration_text_is_counted_in_passes(text: str, passes: float) -> None:
    recipe = parse(text)
    assert (recipe.calibration_passes, recipe.calibrated) == (passes, passes > 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prune:neurons,fraction=0.3", "30% of the neurons removed"),
        ("prune:neurons,importance=taylor,rounds=2", "20% of the neurons removed by first-order Taylor in 2 rounds"),
        ("prune:heads,unit=queries,importance=magnitude", "25% of the query heads removed by magnitude"),
        ("prune:layers,count=6,rounds=3", "6 layers removed in 3 rounds"),
        ("prune:layers,count=2,importance=wanda,rounds=2", "2 layers removed by Wanda's rule in 2 rounds"),
        ("prune:wanda,blocks=0+3+4+5+9+10", "50% zeros by Wanda in layers 0, 3 to 5, 9 and 10"),
    ],
)
def test_pruning_in_words(text: str, words: str) -> None:
    assert parse(text).describe() == words


def test_a_step_leaves_to_those_before_it_the_layers_that_they_name() -> None:
    eight, prune, four = "quantize:rtn,bits=8,blocks=0+3", "prune:wanda", "quantize:rtn,bits=4"
    recipe = parse(f"{eight} | {prune} | {four} | quantize:rtn,targets=embedding")
    assert [getattr(recipe.step_on(place, 5), "blocks", None) for place in range(4)] == [(0, 3), None, (1, 2, 4), None]
    assert recipe.describe().endswith("groups of 64 (embedding)")
    assert parse(f"{eight} | {four}").describe() == (
        "8-bit, round to nearest, groups of 64 in layers 0 and 3, then "
        "4-bit, round to nearest, groups of 64 in the other layers"
    )


@pytest.mark.parametrize(
    ("fraction", "multiple", "left"),
    [(0.0, 64, 1500), (0.2, 64, 1216), (0.2, 8, 1200), (0.01, 1, 1485), (0.3, 64, 1024)],
)
def test_neurons_left_are_the_nearest_multiple(fraction: float, multiple: int, left: int) -> None:
    assert Neurons(fraction=fraction, multiple=multiple).width(1500) == left


@pytest.mark.parametrize(
    ("unit", "fraction", "left"),
    [
        ("groups", 0.0, (12, 4)),
        ("groups", 0.25, (9, 3)),
        ("groups", 0.4, (6, 2)),
        ("queries", 0.25, (8, 4)),
        ("queries", 0.5, (4, 4)),
    ],
)
def test_heads_left_make_groups_of_one_size(unit: str, fraction: float, left: tuple[int, int]) -> None:
    assert Heads(fraction=fraction, unit=unit).left(12, 4) == left


def test_dense_is_the_recipe_without_steps() -> None:
    assert parse("dense") == Recipe()
    assert Recipe().family == "dense"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("quantise:rtn", ["'quantise'", "did you mean 'quantize'?"]),
        ("quantize:rnt", ["'rnt'", "did you mean 'rtn'?"]),
        ("quantize:rtn,bit=4", ["'bit'", "did you mean 'bits'?"]),
        ("quantize:rtn,bits=0", ["bits", "[2, 8]", "0"]),
        ("quantize:rtn,bits=4.5", ["bits", "whole number", "'4.5'"]),
        ("quantize:rtn,bits=4,bits=8", ["bits", "twice"]),
        ("quantize:rtn,bits", ["key=value", "'bits'"]),
        ("quantize:rtn,targets=linear", ["did you mean 'linears'?"]),
        ("quantize:rtn,blocks=0+0", ["blocks", "none twice"]),
        ("quantize:rtn,blocks=-1", ["blocks", "-1"]),
        ("quantize:rtn,symmetric=yes", ["symmetric", "true or false", "'yes'"]),
        ("slice:slicegpt,fraction=1", ["fraction", "[0.0, 1.0)", "1"]),
        ("slice:slicegpt,fraction=nan", ["fraction", "nan"]),
        ("prune:magnitude,pattern=4:2", ["pattern", "N < M", "'4:2'"]),
        ("prune:magnitude,pattern=2:4,sparsity=0.3", ["contradicts", "0.5"]),
        ("prune:magnitude,pattern=2:4,scope=global", ["scope=global", "contradicts"]),
        ("prune:wanda,pattern=2:4,sparsity=0.3", ["contradicts", "0.5"]),
        ("prune:wanda,scope=global", ["'scope'", "prune:wanda"]),
        ("quantize:gptq,targets=embedding", ["targets=embedding", "quantize:rtn"]),
        ("quantize:gptq,damping=0", ["damping", "0.0001"]),
        ("prune:layers,count=-1", ["count", "-1"]),
        ("quantize", ["available: ", "rtn"]),
        ("", ["empty"]),
        ("quantize:rtn |", ["empty step"]),
        ("dense | quantize:rtn", ["'dense'"]),
        ("quantize:rtn" + " " * 2000, ["2000 characters"]),
    ],
)
def test_wrong_recipes_get_one_sentence(text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
