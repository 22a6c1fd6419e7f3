"""A recipe: the ordered steps that turn a dense model into a compressed one, and its text.

The text is the same in the URL, the YAML, the form and the report: steps joined by `|`, each
`family:method,key=value,…`; `dense` is the recipe without steps.
"""

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from engine.errors import InputError, unknown
from engine.spec.prune import Heads, Layers, Magnitude, Neurons, SparseGpt, Wanda
from engine.spec.quantize import Awq, Bnb, Gptq, Hqq, KvCache, Rtn, SmoothQuant, Ternary
from engine.spec.setting import Settings, read
from engine.spec.slicing import SliceGpt

_QUANTIZERS: tuple[type[Settings], ...] = (Rtn, Gptq, Awq, SmoothQuant, Hqq, Ternary, Bnb, KvCache)
_PRUNERS: tuple[type[Settings], ...] = (Magnitude, Wanda, SparseGpt, Neurons, Heads, Layers)
_METHODS: tuple[type[Settings], ...] = (*_QUANTIZERS, *_PRUNERS, SliceGpt)
METHODS = {f"{m.family}:{m.method}": m for m in _METHODS}
FAMILIES = tuple(dict.fromkeys(m.family for m in METHODS.values()))
DENSE = "dense"
LONGEST = 2000


@dataclass(frozen=True)
class Recipe:
    """Steps in the order they are applied; no steps means the dense model."""

    steps: tuple[Settings, ...] = ()

    @property
    def text(self) -> str:
        """The recipe as users write it, defaults left out; parsing it gives the same recipe."""
        return " | ".join(step.text for step in self.steps) or DENSE

    @property
    def family(self) -> str:
        """What the recipe is drawn as: dense, a method family, or combined."""
        families = {step.family for step in self.steps}
        return DENSE if not families else families.pop() if len(families) == 1 else "combined"

    @property
    def calibrated(self) -> bool:
        return self.calibration_passes > 0

    @property
    def calibration_passes(self) -> float:
        """What the steps' reading of the calibration tokens costs, in forward passes over them."""
        return sum(step.calibration_passes for step in self.steps)

    def describe(self) -> str:
        """The recipe in words: "10% of the width sliced, then 4-bit, round to nearest, groups of 64"."""
        return ", then ".join(map(self.describe_step, range(len(self.steps)))) or "Original model"

    def describe_step(self, place: int) -> str:
        """A step in words, with the blocks it works on: "4-bit, round to nearest, groups of 64 in the other layers"."""
        return self.steps[place].describe() + self._where(place)

    def step_on(self, place: int, count: int) -> Settings:
        """A step as it works on a model of `count` blocks, from the place it has.

        A step that names no blocks leaves to the steps before it, of its own family, those that they name: so
        "quantize:rtn,bits=8,blocks=0+29 | quantize:rtn,bits=4" is 8 bits in two blocks and 4 in the others. Raises
        InputError where none is left.
        """
        step, taken = self.steps[place], self._taken(place)
        if not taken:
            return step
        left = tuple(block for block in range(count) if block not in taken)
        if not left:
            raise InputError(
                f"{step.family}:{step.method} has nothing to do: the steps before it name all of the {count} layers"
            )
        return replace(step, blocks=left)  # type: ignore[type-var]

    def _taken(self, place: int) -> set[int]:
        """The blocks that a step leaves to those before it; none where it names its own or works on no linears."""
        step = self.steps[place]
        linears = "linears" in getattr(step, "targets", ("linears",))
        if not hasattr(step, "blocks") or named_blocks(step) or not linears:
            return set()
        return {block for one in self.steps[:place] if one.family == step.family for block in named_blocks(one)}

    def _where(self, place: int) -> str:
        """Which blocks a step works on, in words: " in layers 0 and 3 to 6", " in the other layers"; empty for all."""
        if named := named_blocks(self.steps[place]):
            return f" in {'layer' if len(named) == 1 else 'layers'} {in_ranges(named)}"
        return " in the other layers" if self._taken(place) else ""

    def canonical(self) -> list[dict[str, Any]]:
        return [step.canonical() for step in self.steps]


def named_blocks(step: Settings) -> tuple[int, ...]:
    """The blocks that a step names; empty where it names none."""
    return getattr(step, "blocks", None) or ()


def in_ranges(numbers: tuple[int, ...]) -> str:
    """Ascending numbers in words: "0, 3 to 6 and 9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    *most, last = [part for run in runs for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))]
    return f"{', '.join(most)} and {last}" if most else last


@lru_cache(maxsize=8192)  # pages ask for the same recipes again and again; a Recipe is frozen
def parse(text: str) -> Recipe:
    """The recipe that a text writes.

    Raises InputError, naming the value and what is allowed, for an unknown word, a setting given twice, a value out of
    range and settings that contradict each other.
    """
    if len(text) > LONGEST:
        raise InputError(f"a recipe must be at most {LONGEST} characters, got {len(text)}")
    parts = [part.strip() for part in text.split("|")]
    if parts == [DENSE]:
        return Recipe()
    if not text.strip():
        raise InputError(f"the recipe is empty; write {DENSE!r} for the model as it is, or steps such as {_EXAMPLE!r}")
    return Recipe(tuple(_parse_step(part) for part in parts))


_EXAMPLE = "quantize:rtn,bits=4"


def _parse_step(text: str) -> Settings:
    if text == DENSE:
        raise InputError(
            "'dense' is the model without steps and can't be joined with others; remove it from the recipe"
        )
    if not text:
        raise InputError("the recipe has an empty step; a '|' must stand between two steps")
    head, *pairs = [part.strip() for part in text.split(",")]
    settings = _method(head)
    declared = {f.name: f for f in fields(settings)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise InputError(f"{head}: expected key=value, got {pair!r}")
        if key not in declared:
            raise unknown(f"setting of {head}", key, declared)
        if key in values:
            raise InputError(f"{head}: {key} is given twice")
        values[key] = read(declared[key], value)
    return settings(**values)


def _method(name: str) -> type[Settings]:
    family, colon, method = (part.strip() for part in name.partition(":"))
    if family not in FAMILIES:
        raise unknown("recipe word", family, (*FAMILIES, DENSE))
    if not colon or f"{family}:{method}" not in METHODS:
        available = [m.method for m in METHODS.values() if m.family == family]
        raise unknown(f"{family} method", method, available)
    return METHODS[f"{family}:{method}"]
