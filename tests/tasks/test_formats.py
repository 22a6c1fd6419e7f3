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
    "copa": (
        {"premise": "It rained. ", "question": "effect", "choice1": "He WENT in.", "choice2": "she ran.", "label": 1},
        [("It rained therefore", "  he WENT in."), ("It rained therefore", "  she ran.")],
        1,
        (11, 8),
    ),
    "lambada_openai": (
        {"text": "Two  spaces, a\nline and then “home”"},
        [("Two  spaces, a\nline and then", " “home”")],
        None,
        (6,),
    ),
    "blimp": (
        {"sentence_good": "He sees.", "sentence_bad": "He see.", "linguistics_term": "agreement", "UID": "verb_1"},
        [("", " He sees."), ("", " He see.")],
        0,
        (8, 7),
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
    for column in set(TASKS[name].columns) - {TASKS[name].subset}:  # which `load` reads
        with pytest.raises(RecordError, match=f"column '{column}' is missing; this one has "):
            TASKS[name].read({k: v for k, v in record.items() if k != column}, 0)


@pytest.mark.parametrize(
    ("name", "change", "allowed"),
    [
        ("piqa", {"label": 2}, "0 or 1, got 2"),
        ("piqa", {"label": None}, "0 or 1, got None"),
        ("piqa", {"label": "1" * 5000}, "0 or 1, got '111"),
        ("piqa", {"goal": 3}, "must be text, got 3"),
        ("social_iqa", {"label": "0"}, r"\[1, 3\], got '0'"),
        ("hellaswag", {"label": ""}, r"\[0, 3\], got ''"),
        ("hellaswag", {"endings": []}, "must hold at least 1 texts, got 0"),
        ("hellaswag", {"endings": ["a"]}, "must be 0, got '3'"),
        ("openbookqa", {"answerKey": "C"}, "one of A, B, got 'C'"),
        ("openbookqa", {"choices": ["ice"]}, "must hold 'text' and 'label'"),
        ("commonsense_qa", {"choices": LETTERED}, "A, B, C, D, E in this order"),
        ("winogrande", {"sentence": "no blank"}, "must hold a blank"),
        ("winogrande", {"answer": ""}, "1 or 2, got ''"),
        ("copa", {"question": "reason"}, "cause or effect, got 'reason'"),
        ("copa", {"choice2": ""}, "'choice2' must not be empty"),
        ("copa", {"label": -1}, "0 or 1, got -1"),
    ],
)
def test_a_value_out_of_range_says_what_is_allowed(name, change, allowed):
    with pytest.raises(RecordError, match=allowed):
        TASKS[name].read({**CASES[name][0], **change}, 0)


def test_hellaswag_marks_are_cleaned_in_one_pass():
    assert clean(" How to bake [title] Mix [step] it    now ") == "How to bake. Mix it  now"


def test_an_item_of_one_choice_is_one():
    one = {"question": "Which?", "choices": {"text": ["p"], "label": ["A"]}, "answerKey": "A"}
    assert TASKS["arc_easy"].read(one, 0).requests == (("Question: Which?\nAnswer:", " p"),)
    ending = {**CASES["hellaswag"][0], "endings": ["a"], "label": "0"}
    assert TASKS["hellaswag"].read(ending, 0).gold == 0


def test_an_empty_choice_is_scored_as_a_space_of_no_length():
    item = TASKS["piqa"].read({**CASES["piqa"][0], "sol2": ""}, 0)
    assert (item.requests[1][1], item.lengths[1]) == (" ", 0)


@pytest.mark.parametrize(("text", "context", "word"), [("word", "", "word"), ("a b ", "a b", ""), ("", "", "")])
def test_lambada_splits_at_the_last_space(text, context, word):
    assert TASKS["lambada_openai"].read({"text": text}, 0).requests == ((context, f" {word}"),)


def test_the_first_of_two_equal_copa_choices_is_right_as_ties_go_to_it():
    record = {**CASES["copa"][0], "choice1": "Same.", "choice2": "same."}
    assert TASKS["copa"].read(record, 0).gold == 0


def test_a_blimp_item_is_grouped_by_its_phenomenon():
    assert TASKS["blimp"].read(CASES["blimp"][0], 0).group == "agreement"
