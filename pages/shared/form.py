"""Forms made from settings: what a field is, what it may be and what it means all come from its declaration.

A method that declares its settings (`engine.spec.setting`) has its form; no page knows any method by name.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import Field, fields
from itertools import product
from typing import Any

import streamlit as st

from engine.errors import InputError
from engine.spec import Recipe, Settings
from engine.spec.setting import default_of, read, write

Choice = Any  # a setting's value, or None for "not given"


def draw_grid(name: str, method: type[Settings]) -> list[Recipe]:
    """Draw the fields of a method; the recipes of every combination of the values chosen.

    What has neither a default nor values to propose, such as the layers that a step is kept to, is for written recipes.
    Raises InputError, one sentence, where values are out of range or contradict each other.
    """
    declared = [f for f in fields(method) if f.default is not None or f.metadata["sweep"]]  # type: ignore[arg-type]
    main = next((f.name for f in declared if f.metadata["sweep"]), "")
    choices: dict[str, list[Choice]] = {}
    optional = [f.name for f in declared if f.default is None]
    for row in _in_rows(declared, main):
        for column, f in zip(st.columns(len(row)), row, strict=True):
            with column:
                choices[f.name] = _draw_field(f, f"{name}:{f.name}", main == f.name)
    return [Recipe((method(**values),)) for values in combinations(choices, optional)]


def combinations(choices: dict[str, list[Choice]], optional: Sequence[str]) -> list[dict[str, Choice]]:
    """Every combination of the values, those of optional settings one setting at a time.

    Optional settings are other ways to say what a method shall do (a sparsity or a pattern), so they are not crossed.
    """
    fixed = {name: values for name, values in choices.items() if name not in optional}
    ways: list[dict[str, Choice]] = [{name: value} for name in optional for value in choices[name]] or [{}]
    crossed = [dict(zip(fixed, values, strict=True)) for values in product(*fixed.values())]
    return [{**values, **way} for way in ways for values in crossed]


def proposals(method: type[Settings]) -> list[Settings]:
    """The method at its defaults, and then at each value that its first swept field proposes."""
    swept = [f for f in fields(method) if f.metadata["sweep"]][:1]  # type: ignore[arg-type]
    return [method(), *(method(**{f.name: value}) for f in swept for value in f.metadata["sweep"])]


def draw_value(f: Field[Any], key: str) -> Any:
    """Draw one field of a settings class that takes a single value; its value as the class wants it."""
    kind, choices, default = f.metadata["kind"], f.metadata["range"].choices, default_of(f)
    label, help = label_of(f), f.metadata["help"]
    if kind is bool:
        return st.toggle(label, value=default, key=key, help=help, persist_state="session")
    if choices and not f.metadata["many"]:
        return st.selectbox(label, choices, choices.index(default), key=key, help=help, persist_state="session")
    if kind is int:
        low, high = (None if end is None else int(end) for end in (f.metadata["range"].low, f.metadata["range"].high))
        return st.number_input(
            label, low, high, default, 1,
            key=key, help=help, persist_state="session",
        )  # fmt: skip
    return read(f, st.text_input(label, write(default), key=key, help=help, persist_state="session"))


def label_of(f: Field[Any]) -> str:
    """A field's name in plain words."""
    return f.name.replace("_", " ").capitalize()


def value_label(f: Field[Any], text: str) -> str:
    """One value of a field as people read it: shares in percent."""
    try:
        value = float(text)
    except ValueError:
        return text
    return f"{100 * value:g}%" if _is_share(f) else text.replace("-", "−")


def _draw_field(f: Field[Any], key: str, main: bool) -> list[Choice]:
    if f.metadata["sweep"]:
        return _draw_sweep(f, key, main)
    if f.metadata["many"] and f.metadata["range"].choices:
        chosen = st.pills(
            label_of(f), f.metadata["range"].choices, selection_mode="multi", default=f.default, key=key,
            help=f.metadata["help"], persist_state="session",
        )  # fmt: skip
        if not chosen:
            raise InputError(f"choose at least one of {label_of(f).lower()}")
        return [tuple(chosen)]
    return [draw_value(f, key)]


def _draw_sweep(f: Field[Any], key: str, main: bool) -> list[Choice]:
    """Several values of a field: those its declaration proposes, or any typed in."""
    texts = [write(value) for value in f.metadata["sweep"]]
    proposed = list(dict.fromkeys(texts[i] for i in (0, len(texts) // 2, -1))) if main else []
    default = proposed or ([write(f.default)] if f.default is not None else [])
    typed = st.multiselect(
        label_of(f), list(dict.fromkeys([*texts, *default])), default, key=key, help=f.metadata["help"],
        format_func=lambda text: value_label(f, text), accept_new_options=True, placeholder="Choose or type",
        persist_state="session",
    )  # fmt: skip
    if not typed and f.default is not None:
        raise InputError(f"choose at least one value of {label_of(f).lower()}")
    return list(dict.fromkeys(_read(f, text) for text in typed))


def _read(f: Field[Any], text: str) -> Choice:
    text = text.strip().replace("−", "-")
    if _is_share(f) and text.endswith("%"):
        with suppress(ValueError):  # what is no number gets the setting's own sentence
            return float(text[:-1]) / 100
    return read(f, text)


def _is_share(f: Field[Any]) -> bool:
    return f.metadata["kind"] is float and f.metadata["range"].below == 1.0


def _in_rows(declared: Sequence[Field[Any]], main: str) -> list[list[Field[Any]]]:
    """The field that is swept first on a row of its own, the others two by two."""
    rest = [f for f in declared if f.name != main]
    rows = [[f for f in declared if f.name == main], *(rest[i : i + 2] for i in range(0, len(rest), 2))]
    return [row for row in rows if row]
