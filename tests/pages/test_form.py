"""Forms made from settings: what combinations of chosen values they give."""

from dataclasses import fields

from engine.spec.prune import Magnitude
from engine.spec.slicing import SliceGpt
from pages.shared.form import combinations, value_label


def test_settings_are_crossed():
    found = combinations({"bits": [8, 4], "group_size": [32, 64], "symmetric": [True]}, [])
    assert len(found) == 4
    assert {"bits": 4, "group_size": 32, "symmetric": True} in found


def test_optional_settings_are_tried_one_at_a_time():
    found = combinations({"sparsity": [0.3, 0.5], "pattern": ["2:4"], "scope": ["layer"]}, ["sparsity", "pattern"])
    assert found == [
        {"scope": "layer", "sparsity": 0.3},
        {"scope": "layer", "sparsity": 0.5},
        {"scope": "layer", "pattern": "2:4"},
    ]


def test_optional_settings_left_empty_leave_the_default():
    assert combinations({"sparsity": [], "scope": ["layer"]}, ["sparsity"]) == [{"scope": "layer"}]


def test_shares_are_shown_in_percent_and_words_as_they_are():
    fraction, head = fields(SliceGpt)
    pattern = next(f for f in fields(Magnitude) if f.name == "pattern")
    assert value_label(fraction, "0.25") == "25%"
    assert value_label(head, "tied") == "tied"
    assert value_label(pattern, "2:4") == "2:4"
