"""The sweep over every method leaves none out: no method, no width, and in each family no choice and no switch."""

from dataclasses import Field, fields
from pathlib import Path

import pytest

from engine.spec import METHODS, load_sweep
from engine.spec.setting import Scalar, Settings

SWEEP = load_sweep(Path(__file__).parent.parent / "benchmarks" / "every_method.yaml")
STEPS = [step for recipe in SWEEP.recipes for step in recipe.steps]


def used(family: str, name: str) -> set[Scalar]:
    """The values that the sweep's steps of a family give to one setting, lists taken apart."""
    values = [getattr(step, name) for step in STEPS if step.family == family and hasattr(step, name)]
    return {one for value in values for one in (value if isinstance(value, tuple) else (value,))}


def choices(field: Field[Scalar]) -> set[Scalar]:
    """The words or switches that a setting may take; nothing where it is a number."""
    allowed = {True, False} if isinstance(field.default, bool) else field.metadata["range"].choices
    return {one for one in allowed if isinstance(one, str | bool)}


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_every_method_and_every_choice_of_its_settings_is_tried(method: type[Settings]) -> None:
    assert any(type(step) is method for step in STEPS)
    missing = {field.name: choices(field) - used(method.family, field.name) for field in fields(method)}  # type: ignore[arg-type]
    assert {name: left for name, left in missing.items() if left} == {}


def test_every_width_every_kind_of_group_and_every_pattern_is_tried() -> None:
    quantizers = [step for step in STEPS if step.family == "quantize"]
    assert {8, 6, 5, 4, 3, 2} <= {getattr(step, "bits", None) for step in quantizers}
    assert {-1, 32, 64, 192} <= {getattr(step, "group_size", None) for step in quantizers}
    assert {None, "2:4", "4:8"} <= {getattr(step, "pattern", None) for step in STEPS if step.family == "prune"}
    assert any(getattr(step, "blocks", None) for step in STEPS)
    assert {1, 2} <= {getattr(step, "rounds", None) for step in STEPS}
    assert any(recipe.family == "combined" for recipe in SWEEP.recipes)
