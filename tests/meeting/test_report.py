"""The report: whole, escaped, offline."""

import json
import re
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser

import pytest

from engine.errors import InputError
from engine.meeting import report
from engine.meeting.report import Origin
from engine.meeting.terms import Terms
from engine.outcome.row import Row
from engine.recorded import recorded
from engine.typesetting import NO_BREAK
from tests.made_rows import sweep

NOW = datetime(2026, 1, 2)
VOID = {"meta", "link", "img", "br", "hr", "input", "source"}


class Reader(HTMLParser):
    """Everything of a page: its text by element, what it would load, whether every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.data: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "data")]
        if tag == "script" and ("type", "application/json") in attrs:
            tag = "json"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        last = self.open.pop()
        assert tag == ("script" if last == "json" else last)

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def text(self, *tags: str) -> str:
        return " ".join(" ".join(self.texts.get(tag, [])) for tag in tags).replace(NO_BREAK, " ")


def written(rows: list[Row], **more: str) -> str:
    return report.write(rows, "size-quality", Terms(), Origin(report.OWN, **more), NOW)


def drawn(page: str) -> list[str]:
    return re.findall(r'class="chart" id="chart-(\w+)"', page)


@pytest.fixture(scope="module")
def page() -> str:
    return written(sweep()[0], weights_sha256="ab" * 32)


def test_numbers_stay_with_their_units_and_the_charts_data_as_it_is(page: str) -> None:
    assert re.search(r"smaller \(\d+\u00a0MB, was \d+ in bf16\)", page)
    assert NO_BREAK not in "".join(Reader(page).texts["json"])


def test_it_is_well_formed_and_loads_nothing(page: str) -> None:
    found = Reader(page)
    assert found.open == []
    assert found.loads == []
    assert not re.search(r"url\(|@import", found.text("style"))


def test_plotly_is_inside_and_every_chart_has_its_data(page: str) -> None:
    found = Reader(page)
    assert len(page) > 3e6
    charts = [json.loads(text) for text in found.texts["json"]]
    assert drawn(page) == ["front", "tasks"]
    assert len(charts) == 2
    for wide, narrow in charts:
        assert wide["data"]
        assert narrow["layout"]["height"] > 0
    ids = [trial for trace in charts[0][0]["data"] for trial in trace.get("customdata") or ()]
    assert len(set(ids)) == len(sweep()[0])


def test_the_bytes_are_drawn_where_they_are_known_and_the_tasks_where_they_were_scored() -> None:
    kept = ("weight_bytes", "accuracy", "accuracy_chance")
    rows = [
        replace(row, metrics={**{name: row.metrics[name] for name in kept}, "linears_bytes": 5e7}) for row in sweep()[0]
    ]
    assert drawn(written(rows)) == ["front", "bytes"]


def test_it_holds_question_picks_table_protocol_and_provenance(page: str) -> None:
    said = Reader(page).text("h1", "h2", "h3", "p", "td", "th", "dt", "dd", "small", "footer")
    for part in (
        "get before it breaks?", "Recommendation", "The picks", "The knee", "All results", "How it was measured",
        "PIQA, OpenBookQA", "A: Original. B: 4-bit. C: 8-bit.",
        "Where it comes from", "ab" * 32, report.OWN, "2 January 2026", "A million tokens at 0.10 an hour",
    ):  # fmt: skip
        assert part in said
    assert "2025-11-21" in Reader(page).texts["dd"]  # one day, not a span of days
    assert all(row.label in said for row in sweep()[0])
    assert all(row.trial_id in said for row in sweep()[0])


def test_the_table_has_each_change_with_its_interval() -> None:
    rows = recorded()
    shown = [text.replace(NO_BREAK, " ") for text in Reader(written(rows)).texts["td"] if "\N{PLUS-MINUS SIGN}" in text]
    expected = []
    for row in rows:
        change, low, high = (row.value(f"accuracy_norm_change{end}") for end in ("", "_low", "_high"))
        if row.recipe != "dense" and change is not None and low is not None and high is not None:
            points, arm = (
                f"{100 * change:+.1f}".replace("+0.0", "0.0").replace("-0.0", "0.0"),
                100 * max(change - low, high - change),
            )
            expected.append(f"{points} ± {arm:.1f} points".replace("-", "\N{MINUS SIGN}"))
    assert len(expected) > 20
    assert sorted(shown) == sorted(expected)


def test_picks_of_the_same_width_are_told_apart_by_their_methods() -> None:
    rows = recorded()
    chosen = [row for row in rows if row.label in ("4-bit, AWQ, groups of 64", "4-bit, round to nearest, groups of 64")]
    terms = Terms(tuple(row.trial_id for row in chosen))
    page = report.write(rows, "size-quality", terms, Origin(report.OWN), NOW)
    cells = [text.replace(NO_BREAK, " ") for text in Reader(page).texts["td"]]
    assert len(chosen) == 2
    assert {"4-bit, AWQ", "4-bit, round to nearest"} <= set(cells)
    assert "4-bit" not in cells


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("smollm2-135m-instruct", "kneepoint-SmolLM2-135M.html"),
        ("/home/me/my model (2)", "kneepoint-my-model-2.html"),
        ("some/model-1.5B", "kneepoint-some-model-1.5B.html"),
    ],
)
def test_its_file_is_named_for_the_model(model: str, name: str) -> None:
    assert report.file_name(model) == name


def test_the_front_names_its_marks_and_tasks_count_answers_as_it_does() -> None:
    found = Reader(written(recorded()))
    assert [name.strip() for name in found.texts["span"]] == ["Original", "Quantize", "Prune", "Slice", "Combined"]
    front, tasks = (json.loads(found.texts["json"][place])[0]["layout"] for place in (0, -1))
    assert "by length" in front["yaxis"]["title"]["text"]
    assert "by length" in tasks["xaxis"]["title"]["text"]


def test_the_default_models_own_grid_is_said_once() -> None:
    rows = [replace(row, model="smollm2-135m-instruct") for row in sweep()[0]]
    assert Reader(written(rows)).text("p").count("its weights already lie on a 4-bit") == 1


def test_what_users_wrote_is_never_markup() -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    failed = replace(sweep()[0][1], trial_id="f" * 16, state="failed", reason=evil)
    rows = [replace(row, model=evil, environment={"cpu": evil}) for row in [*sweep()[0], failed]]
    found = Reader(written(rows))
    assert found.loads == []
    assert evil in found.text("h1")
    assert evil in found.text("li")
    assert evil in found.text("dd")


def test_a_model_folder_leaves_its_path_at_home() -> None:
    rows = [replace(row, model="/home/someone/models/mine") for row in sweep()[0]]
    page = written(rows)
    assert "/home/someone" not in page
    assert "How small can mine get" in page


def test_nothing_finished_is_nothing_to_report() -> None:
    with pytest.raises(InputError, match="no finished result"):
        written([])
