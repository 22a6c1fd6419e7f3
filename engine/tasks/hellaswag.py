"""HellaSwag (Zellers et al. 2019, arXiv:1905.07830): which of four endings continues a scene."""

import re

from engine.tasks.hub import HubData
from engine.tasks.task import Item, Record, Task, item, listed, number, text


def read(record: Record, id: int) -> Item:
    scene = f"{text(record, 'ctx_a')} {text(record, 'ctx_b').capitalize()}"
    options = tuple(clean(ending) for ending in listed(record, "endings", low=1))
    gold = number(record, "label", 0, len(options) - 1)
    return item(id, clean(f"{text(record, 'activity_label')}: {scene}"), options, gold)


def clean(scene: str) -> str:
    """The text without the marks that WikiHow pages left in it; one pass, so four spaces become two."""
    scene = scene.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", scene).replace("  ", " ")


TASK = Task(
    name="hellaswag",
    label="HellaSwag",
    summary="Which of four endings continues a scene",
    columns=("activity_label", "ctx_a", "ctx_b", "endings", "label"),
    normalised=True,
    read=read,
    hub=HubData("Rowan/hellaswag", "218ec52e09a7e7462a5400043bb9a69a41d06b76", "validation"),
)
