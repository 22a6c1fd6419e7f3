"""The README.md of an exported checkpoint: what it is, how it was made, what was measured, and what to know."""

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

import engine
from engine import assets, quantities
from engine.analysis import words
from engine.analysis.front import FLATTERED_NOTE, flattered, interval, telling_score
from engine.metrics import metric, summary
from engine.outcome.row import Row
from engine.spec import DEFAULT_MODEL, Recipe, Trial
from engine.spec.quantize import Bnb, KvCache, SmoothQuant
from engine.tasks import task_label

FILE = "README.md"
_BASE = {DEFAULT_MODEL: ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")}  # hub id and licence of the default
_USE = {
    "plain": (
        "The weights are in bf16, packed layers dequantized, so `transformers` reads them as any model's; the file is "
        "larger than the packed weights named below.",
        "from transformers import AutoModelForCausalLM\n\nmodel = AutoModelForCausalLM.from_pretrained({})",
    ),
    "packed": (
        "The weights are packed. Kneepoint reads them, from its own folder; `transformers` alone does not.",
        "from pathlib import Path\n\nfrom engine.checkpoints import checkpoint\n\nmodel = checkpoint.load(Path({}))",
    ),
}


def model_card(trial: Trial, format: str, row: Row | None = None, dense: Row | None = None) -> str:
    """The card in Markdown; row and dense: the trial's result and the original's, where they were measured here.

    A model folder is named by its last part only: its path says nothing elsewhere.
    """
    hub_id, licence = _base(trial)
    name = hub_id or Path(trial.model).name
    lines = [
        "---",
        *([f"base_model: {json.dumps(hub_id)}"] if hub_id else []),
        *([f"license: {licence}"] if licence else []),
        "library_name: transformers" if format == "plain" else "library_name: kneepoint",
        "tags: [compressed]",
        "---",
        "",
        f"# {_inline(name)}: {trial.recipe.describe()}",
        "",
        _USE[format][0],
        "",
        *indent(load_code(format, "this folder"), "    ").splitlines(),
        "",
        "## How it was made",
        "",
        f"    {trial.recipe.text}",
        "",
        *_facts(trial, name),
        "",
        "## What was measured",
        "",
        *(_measured(row, dense) if row is not None and row.metrics else ["Nothing was measured of this model here."]),
        "",
        "## What to know",
        "",
        *(f"- {note}" for note in (*filter(None, [left_out(trial.recipe, format)]), *_notes(trial, row, licence))),
    ]
    return "\n".join(lines) + "\n"


def load_code(format: str, folder: str) -> str:
    """The Python that loads a checkpoint, to be run as it is."""
    return _USE[format][1].format(json.dumps(folder, ensure_ascii=False))


def left_out(recipe: Recipe, format: str) -> str:
    """What was measured and is not in a checkpoint, in a sentence; empty where nothing is missing."""
    if format == "packed":
        return ""
    lost = []
    if any(isinstance(s, SmoothQuant) or (isinstance(s, Bnb) and s.format == "int8") for s in recipe.steps):
        lost.append("the rounding of activations to 8 bits")
    if any(isinstance(s, KvCache) for s in recipe.steps):
        lost.append("the rounding of the KV cache")
    if not lost:
        return ""
    return f"What was measured includes {' and '.join(lost)}, which this format can't hold."


def _base(trial: Trial) -> tuple[str, str]:
    """The hub id of the model it was made from and its licence, as far as they are known here."""
    if trial.model in _BASE:
        return _BASE[trial.model]
    return ("" if Path(trial.model).is_absolute() else trial.model), ""


def _facts(trial: Trial, name: str) -> list[str]:
    at = f", revision {trial.revision}" if trial.revision else ""
    return [
        f"- Base model: {_inline(name)}{at}",
        f"- sha256 of its weights, configuration and tokenizer: {trial.weights_sha256}",
        f"- Calibration: {trial.protocol.calibration_windows} windows of {trial.protocol.sequence_length} tokens, "
        f"seed {trial.protocol.seed}; methods that need none read none",
        f"- Made by Kneepoint {engine.__version__}",
    ]


def _measured(row: Row, dense: Row | None) -> list[str]:
    """A table with intervals, and where and how it was measured."""
    names = [name for name in summary(telling_score(dense or row)) if row.value(name) is not None]
    table = ["| | this model | 95% interval | original |", "| --- | ---: | ---: | ---: |"]
    for name in names:
        ends = interval(row, name)
        span = quantities.span(name, *ends) if ends else quantities.NOTHING
        before = quantities.format_value(name, dense.value(name) if dense else None)
        table.append(f"| {metric(name).label} | {quantities.format_value(name, row.value(name))} | {span} | {before} |")
    asked = [task_label(task) for task in row.protocol.get("tasks") or ()]
    questions = f"At most {row.protocol.get('limit')} items each of {', '.join(asked)}." if asked else ""
    where = " · ".join(words.protocol(row, row.value("questions")))
    date = str(row.environment.get("date", ""))[:10]
    return [*table, "", _sentence(questions, where), f"Trial {row.trial_id}{f', {date}' if date else ''}."]


def _notes(trial: Trial, row: Row | None, licence: str) -> Sequence[str]:
    notes = [assets.CAVEAT] if trial.model == DEFAULT_MODEL else []
    if row is not None:
        notes += [FLATTERED_NOTE] if flattered(row) else []
        notes += [words.simulated(row)] if row.simulated else []
    if licence:
        return [*notes, f"Licence of the base model: {licence}. It holds for what is made from it."]
    return [*notes, "The base model's own licence holds for what is made from it; see its card."]


def _sentence(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _inline(text: str) -> str:
    """A name on one line that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in " ".join(text.split()))
