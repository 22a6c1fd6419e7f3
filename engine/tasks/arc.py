"""ARC (Clark et al. 2018, arXiv:1803.05457): science exams for schools, an easy and a challenging set."""

from engine.tasks.hub import HubData
from engine.tasks.task import Item, Record, Task, answer_index, item, lettered_choices, text


def read(record: Record, id: int) -> Item:
    options, labels = lettered_choices(record)
    return item(id, f"Question: {text(record, 'question')}\nAnswer:", options, answer_index(record, labels))


def _task(name: str, label: str, summary: str, config: str) -> Task:
    return Task(
        name=name,
        label=label,
        summary=summary,
        columns=("question", "choices", "answerKey"),
        normalised=True,
        read=read,
        hub=HubData("allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453", "test", (config,)),
    )


EASY = _task("arc_easy", "ARC Easy", "School science exams, the easy set", "ARC-Easy")
CHALLENGE = _task("arc_challenge", "ARC Challenge", "School science exams, the hard set", "ARC-Challenge")
