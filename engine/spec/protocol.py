"""How a trial is measured, and the trial itself: a model, a recipe and a protocol under one id.

The id is a hash of canonical content, so the same question is never paid for twice. It covers what can change a
result (the weights, the task files, the text, every setting with its default, the methods' versions) and not which
measures were asked for: results accumulate under one id.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from engine.errors import InputError, unknown
from engine.spec.recipe import Recipe, parse
from engine.spec.setting import Range, check, setting

MEASURES = ("size", "layers", "latency", "memory", "perplexity", "accuracy")
KNOWN_MEASURES = (*MEASURES, "latency_grid", "sensitivity")  # with what is measured only where it is named
VERSION = 1  # raised when the same protocol would measure something else
TASK_GROUPS = {"five": ("piqa", "winogrande", "hellaswag", "arc_easy", "arc_challenge")}  # the SliceGPT paper's
MOST_ITEMS, MOST_WINDOWS, MOST_TOKENS = 1_000_000, 100_000, 1_000_000  # more are a slip of the finger


@dataclass(frozen=True)
class Protocol:
    """Everything besides model and recipe that a result depends on."""

    tasks: tuple[str, ...] = setting(
        ("piqa", "openbookqa", "commonsense_qa"), "Zero-shot tasks to answer.", kind=str, many=True
    )
    limit: int = setting(
        200, "Items of each task; a task with fewer gives all it has.", kind=int, range=Range(1, MOST_ITEMS)
    )
    dtype: str = setting(
        "float32",
        "Number format of the accuracy and perplexity evaluation.",
        kind=str,
        range=Range(choices=("float32",)),
    )
    device: str = setting("cpu", "Where the model runs.", kind=str, range=Range(choices=("cpu", "cuda")))
    threads: int = setting(0, "CPU threads; 0 takes all.", kind=int, range=Range(0, 1024))
    calibration_windows: int = setting(
        32, "Calibration windows that calibrated methods read.", kind=int, range=Range(1, MOST_WINDOWS)
    )
    sequence_length: int = setting(
        512, "Tokens in a calibration or perplexity window.", kind=int, range=Range(8, MOST_TOKENS)
    )
    perplexity_windows: int = setting(
        32, "Windows of text whose perplexity is measured.", kind=int, range=Range(1, MOST_WINDOWS)
    )
    perplexity_text: str = setting(
        "heldout", "Text whose perplexity is measured: heldout, wikitext2, or the path of a text file.", kind=str
    )
    prompt_tokens: int = setting(128, "Tokens in the timed prompt.", kind=int, range=Range(1, MOST_TOKENS))
    decode_tokens: int = setting(
        64, "Tokens decoded one by one after the prompt.", kind=int, range=Range(10, MOST_TOKENS)
    )
    batch_size: int = setting(1, "Sequences decoded at once.", kind=int, range=Range(1, 256))
    seed: int = setting(0, "Seed of every random choice.", kind=int, range=Range(0, 2**32 - 1))

    def __post_init__(self) -> None:
        """A group's name among the tasks stands for its members, so it leaves no trace in the hash."""
        object.__setattr__(self, "tasks", _without_groups(self.tasks))
        for f in fields(self):
            check(f, getattr(self, f.name))

    def canonical(self) -> dict[str, Any]:
        """What a trial's id covers of it; what the perplexity text is named is not, as its sha256 is in the data's."""
        values = {name: value for name, value in asdict(self).items() if name != "perplexity_text"}
        return {"version": VERSION, **values, "tasks": sorted(self.tasks)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Protocol":
        """A protocol from a mapping as YAML or JSON gives it; raises InputError on an unknown or wrong value."""
        names = {f.name for f in fields(Protocol)}
        for name in values:
            if name not in names:
                raise unknown("protocol setting", str(name), names)
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k != "version"}
        return Protocol(**given)


@dataclass(frozen=True)
class Trial:
    """One question: this model, compressed so, measured so."""

    model: str  # the name it is shown and loaded under
    revision: str | None  # of a hub model
    weights_sha256: str
    recipe: Recipe
    protocol: Protocol
    data_sha256: tuple[tuple[str, str], ...]  # (task, "text" or "perplexity_text", sha256 of its file), sorted
    data_dir: str | None = None  # where `--data` files lie; not part of the id, their content is

    def canonical(self) -> dict[str, Any]:
        return {
            "weights": self.weights_sha256,
            "recipe": self.recipe.canonical(),
            "protocol": self.protocol.canonical(),
            "data": dict(self.data_sha256),
        }

    @property
    def id(self) -> str:
        """16 hexadecimal digits of the sha256 of the canonical content."""
        return _digest(self.canonical())

    @property
    def comparison_id(self) -> str:
        """What trials must share to stand on one front and be paired with one dense trial: all but the recipe."""
        return _digest({k: v for k, v in self.canonical().items() if k != "recipe"})

    def dense(self) -> "Trial":
        """The trial of the same model and protocol without compression."""
        return Trial(**{**self.__dict__, "recipe": Recipe()})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON content; `from_dict` reads it back."""
        return {
            **{k: getattr(self, k) for k in ("model", "revision", "weights_sha256", "data_dir")},
            "recipe": self.recipe.text,
            "protocol": asdict(self.protocol),
            "data_sha256": [list(pair) for pair in self.data_sha256],
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Trial":
        return Trial(
            model=values["model"],
            revision=values["revision"],
            weights_sha256=values["weights_sha256"],
            recipe=parse(values["recipe"]),
            protocol=Protocol.from_dict(values["protocol"]),
            data_sha256=tuple((name, sha) for name, sha in values["data_sha256"]),
            data_dir=values["data_dir"],
        )


def parse_measures(text: str) -> tuple[str, ...]:
    """The measures a comma-separated text names, in the order they run; raises InputError on an unknown one."""
    names = {name.strip() for name in text.split(",")}
    for name in names:
        if name not in KNOWN_MEASURES:
            raise unknown("measure", name, KNOWN_MEASURES)
    return tuple(m for m in KNOWN_MEASURES if m in names)


def parse_tasks(text: str) -> tuple[str, ...]:
    """The task names of a comma-separated text, none empty; whether they exist is for `engine.tasks` to say."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise InputError(f"tasks must be names joined by commas, got {text!r}")
    return names


def _without_groups(names: Any) -> Any:
    """Task names with each group's members in its place, those named before left out; anything else as it is."""
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        return names
    if not TASK_GROUPS.keys() & set(names):
        return names
    return tuple(dict.fromkeys(member for name in names for member in TASK_GROUPS.get(name, (name,))))


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
