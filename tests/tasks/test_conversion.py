"""The default data's records in the columns of their datasets' own releases."""

import pytest

from engine.tasks import TASKS
from engine.tasks.task import RecordError


def converted(name, **record):
    return TASKS[name].embedded.convert(record)


def test_piqa_keeps_white_space():
    record = converted("piqa", question="dresser", options="A. pin \nB. finish,  pin ", answer="B. finish,  pin ")
    assert record == {"goal": "dresser", "sol1": "pin ", "sol2": "finish,  pin ", "label": 1}


def test_openbookqa():
    record = converted("openbookqa", question="Fog: ", options="A. p\nB. q\nC. r\nD. s", answer="C. r")
    choices = {"text": ["p", "q", "r", "s"], "label": ["A", "B", "C", "D"]}
    assert record == {"question_stem": "Fog: ", "choices": choices, "answerKey": "C"}


def test_boolq_puts_the_title_before_the_passage():
    record = converted("boolq", question="is it", title="Fuel", passage="Burns.", answer="False")
    assert record == {"question": "is it", "passage": "Fuel -- Burns.", "label": 0}


def test_social_iqa_counts_from_one_and_tells_equal_options_apart_by_letter():
    record = converted("social_iqa", passage="P.", question="Q?", options="A. x\nB. y\nC. x", answer="C. x")
    assert (record["context"], record["label"]) == ("P.", "3")


def test_commonsense_qa_loses_the_question_mark_that_the_source_moved():
    options = "\nA. p\nB. q\nC. r\nD. s\nE. t?"
    moved = converted("commonsense_qa", question="Name one", options=options, answer="E. t")
    assert (moved["choices"]["text"][4], moved["answerKey"]) == ("t", "E")
    own = converted("commonsense_qa", question="Which?", options=options, answer="E. t?")
    assert own["choices"]["text"][4] == "t?"


def test_commonsense_qa_takes_back_options_that_lie_in_the_question():
    record = converted("commonsense_qa", question="Name one\nA. p\nB. q", options="\nC. r\nD. s\nE. t?", answer="D. s")
    assert record["question"] == "Name one"
    assert record["choices"]["text"] == ["p", "q", "r", "s", "t"]


@pytest.mark.parametrize("name", ["piqa", "social_iqa"])
def test_an_answer_that_is_no_option_is_refused(name):
    with pytest.raises(RecordError):
        converted(name, passage="p", question="q", options="A. x\nB. y\nC. z", answer="B. z")


def test_converted_records_read_back_as_items():
    record = converted("piqa", question="g", options="A. x\nB. y", answer="B. y")
    item = TASKS["piqa"].read(record, 0)
    assert (item.options, item.gold) == (("x", "y"), 1)
