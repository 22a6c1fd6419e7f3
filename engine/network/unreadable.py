"""Why transformers could not make a model of a folder, in one sentence for whoever gave it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import CONFIG_MAPPING

from engine.errors import InputError

# what transformers raises on configurations, tokenizers and weights that it can't make a model of
_RAISED = (
    *(OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, RuntimeError),
    *(SafetensorError, StrictDataclassError),
)


@contextmanager
def explained(what: str, config: Mapping[str, Any]) -> Iterator[None]:
    """Raise InputError where `what`, of a model with that configuration, can't be read; running out of memory stays."""
    try:
        yield
    except _RAISED as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise
        raise InputError(f"can't load {what}: {_reason(error, config)}") from error


def refuse_type(name: str, model_type: str, config: Mapping[str, Any]) -> None:
    """Raise InputError where transformers has no network for the model's type."""
    if model_type in CONFIG_MAPPING:
        return
    near = get_close_matches(model_type, CONFIG_MAPPING.keys(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    own = "; code that comes with a model is never run" if config.get("auto_map") else ""
    raise InputError(f"the model {name!r} is of the type {model_type!r}, which transformers does not know{own}{hint}")


def refuse_unread(name: str, read: Mapping[str, Any]) -> None:
    """Raise InputError where a network has tensors of which the files gave none, or one of another shape.

    read: what transformers tells of loading it.
    """
    if mismatched := read["mismatched_keys"]:
        key, stored, wanted = min(mismatched)
        raise InputError(
            f"the model {name!r} does not fit its config.json: {key!r} is {list(stored)} in its files, and "
            f"{list(wanted)} by the configuration"
        )
    if missing := read["missing_keys"]:
        raise InputError(
            f"the files of the model {name!r} lack {len(missing)} of the tensors that its config.json asks for, such "
            f"as {min(missing)!r}"
        )


def _reason(error: Exception, config: Mapping[str, Any]) -> str:
    """What an error says; where that is no more than a name that was looked up, where the name stands."""
    said = " ".join(str(error).split())
    if not isinstance(error, LookupError):
        return said
    place = _place(config, error.args[0]) if error.args else ""
    return f"its config.json gives {place}={said}, which is not known" if place else f"{type(error).__name__} {said}"


def _place(config: Mapping[str, Any], value: object) -> str:
    """The name of the setting that has this value, such as "rope_parameters.rope_type"; empty where none has."""
    for name, given in config.items():
        if given == value:
            return name
        if isinstance(given, Mapping) and (inner := _place(given, value)):
            return f"{name}.{inner}"
    return ""
