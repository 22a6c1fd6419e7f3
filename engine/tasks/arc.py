"""ARC (Clark et al. 2018, arXiv:1803.05457): science exams for schools, an easy and a challenging set."""

from engine.tasks.task import Item, Record, Task, answer_index, item, lettered_choices, text


def read(record: Record, id: int) -> Item:
    options, labels = lettered_choices(record)
    return item(id, f"Question: {text(record, 'question')}\nAnswer:", options, answer_index(record, labels))


_COLUMNS = ("question", "choices", "answerKey")

EASY = Task("arc_easy", "ARC Easy", "School science exams, the easy set", _COLUMNS, normalised=True, read=read)
CHALLENGE = Task(
    "arc_challenge", "ARC Challenge", "School science exams, the hard set", _COLUMNS, normalised=True, read=read
)
