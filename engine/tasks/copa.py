"""COPA (Roemmele et al. 2011), as SuperGLUE (arXiv:1905.00537) carries it: the cause or the effect of a premise."""

from engine.tasks.hub import HubData
from engine.tasks.task import Item, Record, RecordError, Task, number, text

_CONNECTORS = {"cause": "because", "effect": "therefore"}


def read(record: Record, id: int) -> Item:
    """The premise goes on without its full stop; two spaces stand before a choice, since the reference joins a choice
    that begins with one by another."""
    question = text(record, "question")
    if question not in _CONNECTORS:
        raise RecordError(f"column 'question' must be cause or effect, got {question!r}")
    context = f"{text(record, 'premise').strip()[:-1]} {_CONNECTORS[question]}"
    options = tuple(_continued(record, column) for column in ("choice1", "choice2"))
    gold = options.index(options[number(record, "label", 0, 1)])  # of two equal choices the first, as ties go
    return Item(id, tuple((context, f"  {option}") for option in options), options, gold)


def _continued(record: Record, column: str) -> str:
    """The choice with its first letter in lower case."""
    choice = text(record, column)
    if not choice:
        raise RecordError(f"column {column!r} must not be empty")
    return choice[0].lower() + choice[1:]


TASK = Task(
    name="copa",
    label="COPA",
    summary="The cause or the effect of a premise, two choices",
    columns=("premise", "question", "choice1", "choice2", "label"),
    normalised=False,
    read=read,
    hub=HubData("aps/super_glue", "3de24cf8022e94f4ee4b9d55a6f539891524d646", "validation", ("copa",)),
)
