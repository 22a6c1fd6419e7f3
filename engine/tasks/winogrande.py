"""WinoGrande (Sakaguchi et al. 2019, arXiv:1907.10641): whom or what a blank in a sentence means."""

from engine.tasks.hub import HubData
from engine.tasks.task import Item, Record, RecordError, Task, number, text


def read(record: Record, id: int) -> Item:
    """The choices are contexts here: the sentence up to the blank with an option in it, before one shared ending."""
    before, blank, after = text(record, "sentence").partition("_")
    if not blank:
        raise RecordError("column 'sentence' must hold a blank, written _")
    options = (text(record, "option1"), text(record, "option2"))
    requests = tuple((before + option, f" {after.strip()}") for option in options)
    return Item(id, requests, options, number(record, "answer", 1, 2) - 1)


TASK = Task(
    name="winogrande",
    label="WinoGrande",
    summary="Whom or what a blank in a sentence means, two choices",
    columns=("sentence", "option1", "option2", "answer"),
    normalised=False,
    read=read,
    hub=HubData("allenai/winogrande", "01e74176c63542e6b0bcb004dcdea22d94fb67b5", "validation", ("winogrande_xl",)),
)
