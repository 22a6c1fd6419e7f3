"""Sweeps: grids expand, dense leads, and a family's extremes run before what lies between."""

from pathlib import Path

import pytest

from engine.errors import InputError
from engine.spec import Recipe, load_sweep, make_sweep, parse

GRID = {"recipe": "quantize:rtn,bits={bits},group_size={group}", "bits": [8, 4, 3], "group": [64, -1]}


def test_a_grid_is_every_combination_and_dense() -> None:
    sweep = make_sweep({"grid": [GRID], "recipes": ["prune:layers,count=6"]})
    assert len(sweep.recipes) == 3 * 2 + 1 + 1
    assert parse("quantize:rtn,bits=3,group_size=-1") in sweep.recipes


def test_a_key_with_nothing_behind_it_is_as_if_not_given() -> None:
    assert make_sweep({"recipes": None, "grid": None}).recipes == (Recipe(),)


def test_the_same_recipe_written_twice_runs_once() -> None:
    sweep = make_sweep({"recipes": ["quantize:rtn", "quantize:rtn,bits=4", "dense"]})
    assert sweep.recipes == (Recipe(), parse("quantize:rtn"))


def test_dense_first_then_extremes_then_between() -> None:
    bits = [f"quantize:rtn,bits={b}" for b in (8, 6, 5, 4, 2)]
    sweep = make_sweep({"recipes": [*bits, "prune:layers,count=3"]})
    texts = [r.text for r in sweep.recipes]
    assert texts[0] == "dense"
    assert set(texts[1:3]) == {parse(bits[0]).text, "prune:layers,count=3"}
    assert texts[3] == parse(bits[-1]).text
    assert texts[4] == parse("quantize:rtn,bits=5").text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "mapping"),
        ({"recipe": []}, "did you mean 'recipes'?"),
        ({"recipes": "dense"}, "recipes must be a list"),
        ({"recipes": [3]}, "got 3"),
        ({"grid": [{"recipe": "quantize:rtn,bits={bits}"}]}, "check bits"),
        ({"grid": [{"recipe": "quantize:rtn", "bits": [4]}]}, "check bits"),
        ({"grid": [{"recipe": "prune:layers,count={n}", "n": list(range(6000))}]}, "holds 6000 recipes"),
        ({"protocol": {"limits": 1}}, "did you mean 'limit'?"),
        ({"grid": [{"recipe": "quantize:rtn,bits={bits}", "bits": []}]}, "the list bits must hold at least one value"),
        ({"grid": []}, "grid must be a list that is not empty, got []"),
        ({"recipes": ""}, "recipes must be a list that is not empty, got ''"),
    ],
)
def test_wrong_sweeps_get_one_sentence(content: object, words: str) -> None:
    with pytest.raises(InputError) as caught:
        make_sweep(content)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["recipes: [unclosed", "name: 2026-99-99", "recipes: " + "[" * 5000])
def test_a_file_that_is_no_yaml_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="is not YAML"):
        load_sweep(path)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't read the sweep file"):
        load_sweep(tmp_path / "absent.yaml")


def test_the_readme_form_of_a_sweep_loads(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "model: smollm2-135m-instruct\n"
        "protocol: {tasks: [piqa, openbookqa], limit: 100}\n"
        'recipes: ["prune:layers,count=6"]\n'
        'grid:\n  - recipe: "quantize:rtn,bits={bits},group_size={group}"\n    bits: [8, 4]\n    group: [64, -1]\n'
    )
    sweep = load_sweep(path)
    assert (sweep.name, sweep.protocol.limit, len(sweep.recipes)) == ("mine", 100, 6)
