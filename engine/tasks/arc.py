"""ARC (Clark et al. 2018, arXiv:1803.05457): science exams for schools, an easy and a challenging set."""

from engine.tasks.hub import HubData
from engine.tasks.task import Item, Record, Task, answer_index, item, lettered_choices, text


def read(record: Record, id: int) -> Item:
    options, labels = lettered_choices(record)
    return item(id, f"Question: {text(record, 'question')}\nAnswer:", options, answer_index(record, labels))


_COLUMNS = ("question", "choices", "answerKey")


def _hub(config: str) -> HubData:
    return HubData("allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453", "test", (config,))


EASY = Task(
    name="arc_easy",
    label="ARC Easy",
    summary="School science exams, the easy set",
    columns=_COLUMNS,
    normalised=True,
    read=read,
    hub=_hub("ARC-Easy"),
)
CHALLENGE = Task(
    name="arc_challenge",
    label="ARC Challenge",
    summary="School science exams, the hard set",
    columns=_COLUMNS,
    normalised=True,
    read=read,
    hub=_hub("ARC-Challenge"),
)
