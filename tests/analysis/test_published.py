"""Figures from papers: sourced, relative to their own original, and true to what was published."""

import re

import pytest

from engine.analysis.published import PUBLISHED


def test_every_figure_names_its_source_and_an_original_to_be_relative_to() -> None:
    assert all(re.fullmatch(r"\d{4}\.\d{5}", one.source) for one in PUBLISHED)
    assert all(one.original > 0 and one.value > 0 and one.size_ratio >= 1 and one.on for one in PUBLISHED)
    assert len({one[:3] + one[4:] for one in PUBLISHED}) == len(PUBLISHED)


@pytest.mark.parametrize(
    ("model", "method", "setting", "ratio", "relative"),
    [
        ("Llama-2-70B", "SliceGPT", "25% of the width", 4 / 3, 4.60 / 3.32),
        ("OPT-125M", "SliceGPT", "30% of the width", 10 / 7, 43.98 / 27.64),
        ("Llama-2-7B", "Wanda", "2:4 zeros", 16 / 9, 11.02 / 5.12),
        ("Llama-2-7B", "GPTQ", "4 bits, groups of 128", 16 / 4.125, 5.69 / 5.47),
    ],
)
def test_figures_by_hand(model: str, method: str, setting: str, ratio: float, relative: float) -> None:
    found = [one for one in PUBLISHED if one.measure == "perplexity" and one[:3] == (model, method, setting)]
    assert [(one.size_ratio, one.relative) for one in found] == [(pytest.approx(ratio), pytest.approx(relative))]


def test_scores_change_in_points() -> None:
    found = {(one.model, one.method, one.on): one.relative for one in PUBLISHED if one.measure == "score"}
    assert found["Llama-2-7B", "ShortGPT", "MMLU"] == pytest.approx(-1.4)
    assert found["Llama-2-7B", "ShortGPT", "XSum"] == pytest.approx(-18.7)


def test_of_one_family_the_larger_model_loses_less_to_slicing() -> None:
    quarter = [one for one in PUBLISHED if one.setting == "25% of the width" and one.measure == "perplexity"]
    lost = {one.model: one.relative for one in quarter}
    assert lost["OPT-6.7B"] < lost["OPT-125M"]
