"""A report: one HTML file that works offline, with the charts interactive, for people who have no Kneepoint.

Everything is inside the file, plotly.js too (under 5 MB), and nothing is loaded from anywhere. Texts that come from
users or models are escaped by the template; the charts' data is JSON that the browser parses and never runs.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

import engine
from engine import assets, quantities
from engine.analysis import words
from engine.analysis.front import (
    FLATTERED_NOTE,
    Front,
    find_front,
    flattered,
    interval,
    is_dense,
    own_value,
    telling_quality,
)
from engine.errors import InputError
from engine.meeting.costs import HOW, money
from engine.meeting.decision import decide, units
from engine.meeting.picks import Choice, choose, recommended
from engine.meeting.terms import Terms
from engine.metrics import PRESETS, metric
from engine.outcome.row import Row
from engine.plots import front_figure, palette
from engine.plots.compare import bytes_figure, task_data, task_figure
from engine.spec import DEFAULT_MODEL
from engine.tasks import task_label
from engine.typesetting import unbroken

TEMPLATE = "report.html"
SHORT_NAMES = {DEFAULT_MODEL: "SmolLM2-135M"}
MOST_SIDE_BY_SIDE = 4  # results in the charts of bytes and tasks
_COLUMNS = ("weight_bytes", "compression_ratio", "accuracy", "change", "top1_agreement", "perplexity", "decode_speedup")
_PROTOCOL = {
    "tasks": "Tasks",
    "limit": "Questions of each task, at most",
    "perplexity_windows": "Windows of held-out text",
    "sequence_length": "Tokens in a window",
    "calibration_windows": "Windows that calibrated methods read",
    "prompt_tokens": "Tokens in the timed prompt",
    "decode_tokens": "Tokens decoded and timed",
    "batch_size": "Sequences at once",
    "dtype": "Number format of the evaluation",
    "device": "Device",
    "seed": "Seed",
}
_MACHINE = {
    "cpu": "Processor",
    "cores": "Cores",
    "threads": "Threads",
    "memory_bytes": "Memory",
    "system": "System",
    "python": "Python",
    "torch": "torch",
    "transformers": "transformers",
    "kneepoint": "Kneepoint",
    "commit": "Commit",
}


@dataclass(frozen=True)
class Origin:
    """Where results come from, one of the texts below; and the sha256 of the model's weights where that is known."""

    where: str
    weights_sha256: str = ""


OWN, SHIPPED, SAVED = "Measured by whoever wrote this report", "Shipped with Kneepoint", "From a saved sweep"


def write(
    rows: Sequence[Row], axes: str, terms: Terms, origin: Origin, now: datetime, comparison: str | None = None
) -> str:
    """The report of one comparison's results (the largest unless named) as HTML.

    axes: a name of metrics.PRESETS. Raises InputError where no result is finished.
    """
    x = PRESETS[axes][0]
    front = find_front(rows, x, telling_quality(rows, comparison), comparison)
    if front.comparison is None:
        raise InputError("there is no finished result to report")
    choices = choose(front, terms)
    mine = [row for row in rows if row.comparison_id == front.comparison.id]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: unbroken(value) if type(value) is str else value,  # but no markup, which holds data
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        **_said(front, choices, terms),
        charts=_charts(mine, front, choices),
        results=_results(mine, front),
        failed=[(row.label, row.reason) for row in mine if row.state == "failed"],
        protocol=_protocol(front),
        machine=_provenance(mine, front, origin),
        notes=_notes(mine, front),
        written=f"{now.day} {now:%B %Y}",
        version=engine.__version__,
        plotly=Markup(get_plotlyjs()),  # a file of the package, not a user's text
    )


def model_name(model: str) -> str:
    """What a title calls a model: its short name; of a folder only the last part, which is all that others can use."""
    return SHORT_NAMES.get(model, Path(model).name if model.startswith("/") else model)


def file_name(model: str) -> str:
    """What the report on a model is called."""
    return f"kneepoint-{re.sub(r'[^A-Za-z0-9.]+', '-', model_name(model)).strip('-.')}.html"


def question(model: str) -> str:
    return f"How small can {model_name(model)} get before it breaks?"


def _said(front: Front, choices: Sequence[Choice], terms: Terms) -> dict[str, Any]:
    """The question, its answer, and the picks with their figures."""
    assert front.comparison is not None
    best = recommended(choices)
    names = words.distinct_labels([choice.row for choice in choices if choice.row])
    return {
        "title": question(front.comparison.model),
        "decision": decide(best.row, front) if best and best.row else None,
        "picks": [
            (choice, choice.row and names[choice.row.trial_id], choice.row and units(choice.row, front, terms))
            for choice in choices
        ],
        "quality": front.y.label,
        "memory": f"{terms.memory_gb:g} GB",
        "price": money(terms.price_per_hour),
        "how": HOW,
        "knee": words.knee(front),
    }


def _charts(rows: Sequence[Row], front: Front, choices: Sequence[Choice]) -> list[dict[str, Any]]:
    """Each chart with its heading, what it shows in words, and its data for a wide and for a narrow window."""
    picked = [choice.row for choice in choices if choice.row is not None]
    rings = [row.trial_id for row in picked]
    both = [front_figure(front, rings, compact=compact) for compact in (False, True)]
    count = sum(row.state == "done" for row in rows)
    said = f"{words.short_name(front.y)} over {front.x.label.lower()} of {count} results."
    charts = [{**_chart("front", "The front", said, both), "key": palette.key({row.family for row in rows})}]
    shown = _side_by_side(front, picked)
    names = list(words.distinct_labels(shown).values())
    if any(row.value("linears_bytes") for row in shown):
        both = [bytes_figure(shown, names, compact=compact) for compact in (False, True)]
        charts.append(_chart("bytes", "Where the bytes are", _letters(names), both))
    if score := next((score for score in (front.score, "accuracy") if task_data(shown, score)), ""):
        both = [task_figure(shown, score, compact=compact) for compact in (False, True)]
        said = f"{_letters(names)} Whiskers: each result's own 95% interval."
        charts.append(_chart("tasks", "Answers, task by task", said, both))
    return charts


def _chart(name: str, head: str, said: str, figures: Sequence[Figure]) -> dict[str, Any]:
    wide, narrow = (json.loads(str(figure.to_json())) for figure in figures)
    height = wide["layout"]["height"]
    return {"name": name, "head": head, "said": said, "key": [], "height": height, "both": [wide, narrow]}


def _side_by_side(front: Front, picked: Sequence[Row]) -> list[Row]:
    """The original and the picks, each once."""
    some = {row.trial_id: row for row in (front.dense, *picked) if row is not None}
    return list(some.values())[:MOST_SIDE_BY_SIDE]


def _letters(names: Sequence[str]) -> str:
    return " ".join(f"{letter}: {name}." for letter, name in zip("ABCD", names, strict=False))


def _results(rows: Sequence[Row], front: Front) -> dict[str, Any]:
    """The table of all finished results, by size."""
    done = sorted(
        (row for row in rows if row.state == "done"), key=lambda row: row.value("weight_bytes") or float("inf")
    )
    scores = {"accuracy": front.score, "change": f"{front.score}_change"}
    wanted = (scores.get(name, name) for name in _COLUMNS)
    names = [name for name in wanted if any(row.value(name) is not None for row in done)]
    return {
        "heads": [(metric(name).label, metric(name).definition) for name in names],
        "lines": [
            (
                f"{row.label}{words.marks(row)}",
                row.recipe,
                [_cell(row, name) for name in names],
                ", ".join(
                    [*(["front"] if row.trial_id in front.best_ids else []), *(["simulated"] if row.simulated else [])]
                ),
                row.trial_id,
            )
            for row in done
        ],
    }


def _cell(row: Row, name: str) -> str:
    """A value as the table shows it; of a change with its interval, which the original's nought does not have."""
    ends = interval(row, name) if name.endswith("_change") and not is_dense(row) else None
    if ends is None:
        return quantities.format_value(name, own_value(row, name))
    return quantities.with_interval(name, row.value(name), *ends)


def _protocol(front: Front) -> list[tuple[str, str]]:
    assert front.comparison is not None
    asked = front.comparison.protocol
    facts = {name: asked[name] for name in _PROTOCOL if asked.get(name) is not None}
    if "tasks" in facts:
        facts["tasks"] = ", ".join(map(task_label, facts["tasks"]))
    return [(_PROTOCOL[name], str(value)) for name, value in facts.items()]


def _provenance(rows: Sequence[Row], front: Front, origin: Origin) -> list[tuple[str, str]]:
    """Where, when and with what it was measured: every value that occurs, so that a mixture shows."""
    assert front.comparison is not None
    facts = [("Model", model_name(front.comparison.model)), ("Results", origin.where)]
    if origin.weights_sha256:
        facts.append(("sha256 of the model", origin.weights_sha256))
    facts.append(("Comparison", front.comparison.id))
    done = [row for row in rows if row.state == "done"]
    dates = sorted(str(row.environment["date"])[:10] for row in done if row.environment.get("date"))
    if dates:
        facts.append(("Measured", dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"))
    for name, label in _MACHINE.items():
        values = dict.fromkeys(row.environment[name] for row in done if row.environment.get(name) is not None)
        if name == "memory_bytes":
            values = dict.fromkeys(f"{value / 1e9:.0f} GB" for value in values)
        if values:
            facts.append((label, ", ".join(map(str, values))))
    return facts


def _notes(rows: Sequence[Row], front: Front) -> list[str]:
    """What must be said once beside the numbers."""
    assert front.comparison is not None
    notes = [assets.CAVEAT] if front.comparison.model == DEFAULT_MODEL else []
    notes += [FLATTERED_NOTE] if any(flattered(row) for row in rows) else []
    notes += list(dict.fromkeys(words.simulated(row) for row in rows if row.simulated))
    notes += [words.guessing(front.dense)] if words.guessing(front.dense) else []
    return notes
