import pytest

from engine.tasks.lettered import answer_of, split_options
from engine.tasks.task import RecordError


def test_options_keep_inner_and_trailing_white_space_dots_and_letters():
    before, options = split_options("A. finish, B. woodgrain with  pin \nB. e.g. A. one\nand a line ", count=2)
    assert before == ""
    assert options == ("finish, B. woodgrain with  pin ", "e.g. A. one\nand a line ")


def test_text_before_the_options_is_given_back():
    assert split_options("What?\nA. x\nB. y", count=2) == ("What?", ("x", "y"))


@pytest.mark.parametrize("text", ["A. x\nC. y", "B. x\nA. y", "x", "A. x\nB. y\nB. z"])
def test_a_missing_or_repeated_letter_is_refused(text):
    with pytest.raises(RecordError):
        split_options(text, count=2)


def test_the_answer_is_the_whole_option_with_its_letter():
    assert answer_of("C. x", ("x", "y", "x")) == 2
    with pytest.raises(RecordError, match="none of"):
        answer_of("C. y", ("x", "y", "x"))
