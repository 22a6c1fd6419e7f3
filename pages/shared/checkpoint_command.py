"""How to take a result along as a checkpoint: the command, since a page has no torch."""

import shlex

import streamlit as st

from engine.row import Row
from engine.spec import DEFAULT_MODEL, parse
from pages.shared import markup

FOLDER = "my-model"


def draw(row: Row) -> None:
    """The section of a finished result; nothing for the original, which is there already."""
    if row.recipe == "dense":
        return
    markup.head("Take it along as a checkpoint")
    if "plain" in formats(row):
        markup.text("For transformers, in bf16. Packed as it was measured: add --format packed.")
    else:
        markup.text("Packed as it was measured: no standard configuration expresses a sliced head that is shared.")
    st.code(command(row), language="bash", wrap_lines=True)
    markup.soft("It compresses the model again, which gives the same weights, and writes a model card beside them.")


def formats(row: Row) -> tuple[str, ...]:
    """The formats a result may be exported in; a sliced head that shares its embedding has no plain one."""
    tied = any(getattr(step, "head", "") == "tied" for step in parse(row.recipe).steps)
    return ("packed",) if tied else ("plain", "packed")


def command(row: Row) -> str:
    """The command that exports a result: by its id where this store knows it, else by recipe and model."""
    model = [] if row.model == DEFAULT_MODEL or not row.recorded else ["--model", row.model]
    what = row.recipe if row.recorded else row.trial_id
    packed = [] if "plain" in formats(row) else ["--format", "packed"]
    return shlex.join([".venv/bin/python", "-m", "engine", "export", what, FOLDER, *model, *packed])
