"""Each task's requests, written out by hand from lm-evaluation-harness 0.4.13's task files."""

import pytest

from engine.tasks import TASKS
from engine.tasks.hellaswag import clean
from engine.tasks.task import RecordError

LETTERED = {"text": ["ice", "a  rock "], "label": ["A", "B"]}
FIVE = {"text": ["v", "w", "x", "y", "z"], "label": ["A", "B", "C", "D", "E"]}
CASES = {
    "piqa": (
        {"goal": "cool soup", "sol1": "blow ", "sol2": "heat  it", "label": 1},
        [("Question: cool soup\nAnswer:", " blow "), ("Question: cool soup\nAnswer:", " heat  it")],
        1,
        (5, 8),
    ),
    "openbookqa": (
        {"question_stem": "Cold things: ", "choices": LETTERED, "answerKey": " A"},
        [("Cold things: ", " ice"), ("Cold things: ", " a  rock ")],
        0,
        (3, 8),
    ),
    "arc_easy": (
        {"question": "Which?", "choices": {"text": ["p", "q"], "label": ["1", "2"]}, "answerKey": "2"},
        [("Question: Which?\nAnswer:", " p"), ("Question: Which?\nAnswer:", " q")],
        1,
        (1, 1),
    ),
    "boolq": (
        {"question": "is it", "passage": "Title -- Text.", "label": True},
        [("Title -- Text.\nQuestion: is it?\nAnswer:", " no"), ("Title -- Text.\nQuestion: is it?\nAnswer:", " yes")],
        1,
        (2, 3),
    ),
    "commonsense_qa": (
        {"question": " Where? ", "choices": FIVE, "answerKey": "C"},
        [("Question: Where?\nA. v\nB. w\nC. x\nD. y\nE. z\nAnswer:", f" {letter}") for letter in "ABCDE"],
        2,
        (1,) * 5,
    ),
    "social_iqa": (
        {"context": "Al ran.", "question": "Why?", "answerA": "a", "answerB": "bb", "answerC": "", "label": "2"},
        [("Q: Al ran. Why?\nA:", " a"), ("Q: Al ran. Why?\nA:", " bb"), ("Q: Al ran. Why?\nA:", " ")],
        1,
        (1, 2, 0),
    ),
    "hellaswag": (
        {
            "activity_label": "Run",
            "ctx_a": "A man.",
            "ctx_b": "he IS",
            "endings": ["a", " b ", "c [x]d", "e"],
            "label": "3",
        },
        [("Run: A man. He is", f" {ending}") for ending in ("a", "b", "c d", "e")],
        3,
        (1, 1, 3, 1),
    ),
    "winogrande": (
        {"sentence": "Al saw Bo, so _ waved back. ", "option1": "Al", "option2": "Bo", "answer": "2"},
        [("Al saw Bo, so Al", " waved back."), ("Al saw Bo, so Bo", " waved back.")],
        1,
        (2, 2),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_requests_are_those_of_the_reference(name):
    record, requests, gold, lengths = CASES[name]
    item = TASKS[name].read(record, 7)
    assert item.id == 7
    assert list(item.requests) == requests
    assert (item.gold, item.lengths) == (gold, lengths)


@pytest.mark.parametrize("name", CASES)
def test_every_missing_column_is_named(name):
    record = CASES[name][0]
    for column in TASKS[name].columns:
        with pytest.raises(RecordError, match=f"'{column}"):
            TASKS[name].read({k: v for k, v in record.items() if k != column}, 0)


@pytest.mark.parametrize(
    ("name", "change", "allowed"),
    [
        ("piqa", {"label": 2}, "0 or 1, got 2"),
        ("piqa", {"label": None}, "0 or 1, got None"),
        ("piqa", {"goal": 3}, "must be text, got 3"),
        ("social_iqa", {"label": "0"}, r"\[1, 3\], got '0'"),
        ("hellaswag", {"label": ""}, r"\[0, 3\], got ''"),
        ("hellaswag", {"endings": ["a"]}, "must hold 4 texts, got 1"),
        ("openbookqa", {"answerKey": "C"}, "one of A, B, got 'C'"),
        ("openbookqa", {"choices": ["ice"]}, "must hold 'text' and 'label'"),
        ("commonsense_qa", {"choices": LETTERED}, "A, B, C, D, E in this order"),
        ("winogrande", {"sentence": "no blank"}, "must hold a blank"),
        ("winogrande", {"answer": ""}, "1 or 2, got ''"),
    ],
)
def test_a_value_out_of_range_says_what_is_allowed(name, change, allowed):
    with pytest.raises(RecordError, match=allowed):
        TASKS[name].read({**CASES[name][0], **change}, 0)


def test_hellaswag_marks_are_cleaned_in_one_pass():
    assert clean(" How to bake [title] Mix [step] it    now ") == "How to bake. Mix it  now"
