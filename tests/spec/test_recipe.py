"""Recipes: the text reads back as itself, and every wrong word gets one sentence that says what is allowed."""

import pytest

from engine.errors import InputError
from engine.spec import METHODS, Recipe, parse


@pytest.mark.parametrize(
    "text",
    [
        "dense",
        "quantize:rtn,bits=4,group_size=64",
        "quantize:rtn,bits=8,group_size=-1,symmetric=false,targets=linears+head",
        "prune:magnitude,sparsity=0.5",
        "prune:magnitude,pattern=2:4",
        "slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4,group_size=64",
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
        ("quantize:rtn,symmetric=yes", ["symmetric", "true or false", "'yes'"]),
        ("slice:slicegpt,fraction=1", ["fraction", "[0.0, 1.0)", "1"]),
        ("slice:slicegpt,fraction=nan", ["fraction", "nan"]),
        ("prune:magnitude,pattern=4:2", ["pattern", "N < M", "'4:2'"]),
        ("prune:magnitude,pattern=2:4,sparsity=0.3", ["contradicts", "0.5"]),
        ("prune:magnitude,pattern=2:4,scope=global", ["scope=global", "contradicts"]),
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
