"""A sweep: many recipes on one model under one protocol, from a YAML file or the form."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from engine.errors import InputError, unknown
from engine.spec.protocol import Protocol
from engine.spec.recipe import Recipe, parse
from engine.spec.setting import write

LARGEST = 5000
MOST_COMPARED = 500  # each with each other, after every share of the questions
DEFAULT_MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class Sweep:
    """Recipes without repetition, in the order they run: dense first.

    tolerance: accuracy in [0, 1) that decides no choice. With one, trials that can't change the front by more stop
    early (`engine.analysis.anytime`); without, every trial answers every question.
    """

    model: str
    protocol: Protocol
    recipes: tuple[Recipe, ...]
    name: str = ""
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.tolerance is None:
            return
        if not 0 <= self.tolerance < 1:
            raise InputError(f"tolerance must be in [0, 1), got {self.tolerance}; 0.02 is 2 points of accuracy")
        if len(self.recipes) > MOST_COMPARED:
            raise InputError(
                f"a sweep with a tolerance may hold at most {MOST_COMPARED} trials, got {len(self.recipes)}"
            )


def load_sweep(path: Path) -> Sweep:
    """The sweep that a YAML file writes; raises InputError where the file or anything in it is wrong."""
    import yaml  # slow to import, and pages read no file

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"can't read the sweep file {str(path)!r}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} is not YAML: {' '.join(str(error).split())}") from None
    return make_sweep(content, name=path.stem)


def make_sweep(content: Any, name: str = "") -> Sweep:
    """The sweep that parsed YAML content describes, its grids expanded and `dense` added."""
    if not isinstance(content, Mapping):
        raise InputError("a sweep must be a mapping with model, protocol, recipes and grid")
    for key in content:
        if key not in _KEYS:
            raise unknown("sweep key", str(key), _KEYS)
    model = content.get("model", DEFAULT_MODEL)
    protocol = content.get("protocol") or {}
    if not isinstance(model, str) or not isinstance(protocol, Mapping):
        raise InputError(f"model must be a name and protocol a mapping, got {model!r} and {protocol!r}")
    texts = [*_list(content, "recipes"), *(text for cell in _list(content, "grid") for text in expand(cell))]
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"every recipe must be text, got {next(t for t in texts if not isinstance(t, str))!r}")
    recipes = in_running_order(parse(text) for text in texts)
    tolerance = content.get("tolerance")
    if tolerance is not None and (isinstance(tolerance, bool) or not isinstance(tolerance, int | float)):
        raise InputError(f"tolerance must be a number in [0, 1), got {tolerance!r}; 0.02 is 2 points of accuracy")
    return Sweep(model, Protocol.from_dict(protocol), recipes, str(content.get("name", name)), tolerance)


def expand(cell: Any) -> list[str]:
    """The recipe texts of one grid: its template filled with every combination of its lists.

    A cell is {"recipe": "quantize:rtn,bits={bits}", "bits": [8, 4]}; raises InputError where a placeholder has no list
    or a list has no placeholder.
    """
    if not isinstance(cell, Mapping) or not isinstance(cell.get("recipe"), str):
        raise InputError(f"a grid must be a mapping with a recipe template and its lists, got {cell!r}")
    template = cell["recipe"]
    axes = {k: v if isinstance(v, list) else [v] for k, v in cell.items() if k != "recipe"}
    wanted = set(re.findall(r"{(\w+)}", template))
    if wanted != set(axes):
        odd = ", ".join(sorted(map(str, wanted ^ set(axes))))
        raise InputError(f"grid {template!r}: every {{name}} needs a list and every list a {{name}}; check {odd}")
    if empty := [name for name, values in axes.items() if not values]:
        raise InputError(f"grid {template!r}: the list {empty[0]} must hold at least one value")
    count = prod(len(values) for values in axes.values())
    if count > LARGEST:
        raise InputError(f"grid {template!r} holds {count} recipes; a sweep may hold at most {LARGEST}")
    combinations = product(*axes.values())
    return [_fill(template, dict(zip(axes, values, strict=True))) for values in combinations]


def in_running_order(recipes: Iterable[Recipe]) -> tuple[Recipe, ...]:
    """Dense first, then each family's extremes, then what lies between, without repetition.

    Early trials span the front, so that its shape shows before the sweep has ended. Raises InputError over LARGEST.
    """
    unique = list(dict.fromkeys(r for r in recipes if r.steps))
    if len(unique) >= LARGEST:
        raise InputError(f"a sweep may hold at most {LARGEST} trials, got {len(unique) + 1}")
    groups: dict[str, list[Recipe]] = {}
    for recipe in unique:
        groups.setdefault(" | ".join(f"{s.family}:{s.method}" for s in recipe.steps), []).append(recipe)
    ranked = [(rank, recipe) for group in groups.values() for rank, recipe in enumerate(_outside_in(group))]
    return (Recipe(), *(recipe for _, recipe in sorted(ranked, key=lambda pair: pair[0])))


_KEYS = ("model", "protocol", "recipes", "grid", "name", "tolerance")


def _outside_in(group: list[Recipe]) -> list[Recipe]:
    """First, last, middle, then the rest in order: of a grid's list, its two ends come first."""
    order = dict.fromkeys([0, len(group) - 1, len(group) // 2, *range(len(group))])
    return [group[i] for i in order]


def _list(content: Mapping[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    if value is None:  # not given, or nothing written behind the key
        return []
    if not isinstance(value, list) or not value:
        raise InputError(f"{key} must be a list that is not empty, got {value!r}")
    return value


def _fill(template: str, values: Mapping[str, Any]) -> str:
    return re.sub(r"{(\w+)}", lambda match: write(values[match[1]]), template)
