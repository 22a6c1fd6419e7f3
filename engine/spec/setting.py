"""One setting of a method: its type, default, range and line of help, checked when the settings are made.

A settings class is a frozen dataclass whose fields are declared with `setting(...)`; the recipe parser, the
dashboard's forms and `python -m engine methods` are all made from these declarations.
"""

import math
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar

from engine.errors import InputError, unknown
from engine.layouts import LAYOUTS, Layout

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Range:
    """What values a setting may take; unset bounds are open.

    `low` and `high` are inclusive unless `below` is given instead of `high`; `choices` lists the words or numbers
    allowed; `extra` lists numbers allowed outside the bounds (such as -1 for "per channel").
    """

    low: float | None = None
    high: float | None = None
    below: float | None = None
    choices: tuple[Scalar, ...] = ()
    extra: tuple[Scalar, ...] = ()

    def allows(self, value: Scalar) -> bool:
        if value in self.extra:
            return True
        if self.choices:
            return value in self.choices
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if isinstance(value, str):
            return True
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.choices:
            return "one of " + ", ".join(str(c) for c in self.choices)
        if self.low is None:
            return ""
        text = f"in [{self.low}, {self.high}]" if self.high is not None else f"in [{self.low}, {self.below})"
        if self.high is None and self.below is None:
            text = f"at least {self.low}"
        return text + "".join(f" or {e}" for e in self.extra)


def setting(
    default: Any,
    help: str,
    *,
    kind: type,
    range: Range | None = None,
    many: bool = False,
    shown: bool = False,
    sweep: tuple[Scalar, ...] = (),
    later: bool = False,
) -> Any:
    """Declare a field of a settings class.

    kind: bool, int, float or str (of each element when `many`); range: what it may be; many: the value is a tuple,
    written `a+b+c`; shown: written in the recipe's text even at its default; sweep: the values a grid proposes;
    later: the method had results before it had this setting, so that at its default it is left out of trials' ids.
    A default of None means "not given".
    """
    about = {"help": help, "kind": kind, "range": range or Range(), "many": many, "shown": shown, "sweep": sweep}
    return field(default=default, metadata={**about, "later": later})


class Settings:
    """Base of every method's settings: class facts, and the checks that run at construction."""

    family: ClassVar[str]
    method: ClassVar[str]
    label: ClassVar[str]  # how people call the method: "round to nearest"
    summary: ClassVar[str]  # one line for `python -m engine methods` and the form
    paper: ClassVar[str] = ""
    real: ClassVar[str]  # what is real about the result, and what is simulated
    version: ClassVar[int] = 1  # raised when the same settings would give another result
    calibrated: ClassVar[bool] = False  # True when it can read calibration tokens
    rewrites: ClassVar[str] = ""  # why its weights can't be held against the original's, number by number, if so
    starter: ClassVar[bool] = False  # whether a new sweep begins with it; every other method can be added
    unpacks: ClassVar[tuple[str, ...]] = ()  # parts, as a quantizer names its targets, that it takes off their grid

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            check(f, value)
            if f.metadata["many"] and value is not None:  # one order, so that one recipe has one id
                order = f.metadata["range"].choices or sorted(value)
                object.__setattr__(self, f.name, tuple(one for one in order if one in value))
        self.check_together()

    @classmethod
    def unfit(cls, layout: Layout) -> str:
        """Why the method can't work on models of a layout, as what follows "because"; empty where it can."""
        return ""

    @classmethod
    def families(cls) -> tuple[str, ...]:
        """The model families, as transformers' model types, that the method works on."""
        return tuple(name for name, layout in LAYOUTS.items() if not cls.unfit(layout))

    def check_together(self) -> None:
        """Refuse settings that contradict each other; nothing by default."""

    def describe(self) -> str:
        """The step in words a stakeholder reads: "4-bit, round to nearest, groups of 64"."""
        return self.label

    @property
    def calibration_passes(self) -> float:
        """What reading the calibration tokens costs, in forward passes over them; 0 where the step reads none."""
        return 1.5 if self.calibrated else 0.0

    @property
    def text(self) -> str:
        """The step as recipe text, with every value that differs from its default and those always shown."""
        parts = [f"{self.family}:{self.method}"]
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if value is not None and (f.metadata["shown"] or value != f.default):
                parts.append(f"{f.name}={write(value)}")
        return ",".join(parts)

    def canonical(self) -> dict[str, Any]:
        """Every setting with its default filled in, and the method's version: what a trial's id covers."""
        covered = [f for f in fields(self) if not f.metadata["later"] or getattr(self, f.name) != f.default]  # type: ignore[arg-type]
        values = {f.name: getattr(self, f.name) for f in covered}
        return {"family": self.family, "method": self.method, "version": self.version, **values}


def check(f: Field[Any], value: Any) -> None:
    """Raise InputError unless `value` has the field's type and lies in its range."""
    if value is None and f.default is None:
        return
    many = f.metadata["many"]
    if many and not isinstance(value, tuple):
        raise InputError(f"{f.name} must be a list, got {value!r}")
    for one in value if many else (value,):
        kind, range = f.metadata["kind"], f.metadata["range"]
        typed = isinstance(one, kind) or (kind is float and isinstance(one, int))
        if not typed or (isinstance(one, bool) and kind is not bool):
            raise InputError(f"{f.name} must be {f'{_NAMES[kind]} {range}'.rstrip()}, got {one!r}")
        if not range.allows(one):
            if kind is str and range.choices:
                raise unknown(f.name, one, [str(c) for c in range.choices])
            raise InputError(f"{f.name} must be {range}, got {write(one)}")
    if many and (not value or len(set(value)) < len(value)):
        raise InputError(f"{f.name} must name at least one value and none twice, got {write(value)!r}")


def read(f: Field[Any], text: str) -> Any:
    """A field's value from its recipe text; raises InputError where the text is no such value."""
    if f.metadata["many"]:
        return tuple(_read_one(f, part.strip()) for part in text.split("+"))
    return _read_one(f, text)


def write(value: Any) -> str:
    """The recipe text of one value: lists joined by "+", booleans in lower case, floats as short as they read back."""
    if isinstance(value, tuple | list):
        return "+".join(write(v) for v in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}


def _read_one(f: Field[Any], text: str) -> Any:
    kind = f.metadata["kind"]
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        allowed = "" if kind is bool else f" {f.metadata['range']}".rstrip()
        raise InputError(f"{f.name} must be {_NAMES[kind]}{allowed}, got {text!r}") from None


def default_of(f: Field[Any]) -> Any:
    """A field's default, or None where it must be given."""
    return None if f.default is MISSING else f.default
