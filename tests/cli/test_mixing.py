"""`run dense --only sensitivity` and `mixed`: what they print, and what they refuse."""

import pytest

from engine.__main__ import main
from engine.outcome.kept import Kept
from engine.outcome.sensitivity import NAME
from engine.recorded import Entry, recorded
from engine.spec import DEFAULT_MODEL, parse
from engine.trials import make_sensitivity
from tests.cli.conftest import recipe
from tests.made_sensitivity import made

pytestmark = pytest.mark.usefixtures("prepared")


def test_a_mixture_is_printed_from_sensitivities_that_were_measured(capsys) -> None:
    assert main(["mixed", "--bits", "4"]) != 0
    assert "run dense --only sensitivity" in capsys.readouterr().err
    assert main(["run", "dense", "--only", "sensitivity"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == [
        *("nats", "a", "token", "8", "bits", "4", "bits", "3", "bits", "2", "bits"),
        *("30%", "zeros", "50%", "zeros", "70%", "zeros", "10%", "sliced", "20%", "sliced", "30%", "sliced"),
    ]
    assert main(["mixed", "--bits", "6", "--protect", "1"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert {block for step in parse(first).steps for block in step.blocks} == {0, 2, 3}
    assert any(line.startswith("all 4 bits") for line in rest)


def test_without_a_measurement_of_ones_own_the_recorded_one_serves_and_says_so(capsys, monkeypatch) -> None:
    id, row = make_sensitivity(DEFAULT_MODEL).id, recorded()[0]
    kept = Kept(profiles={NAME: made(group_size=64, unit=64_000).to_dict()})
    monkeypatch.setattr("engine.cli.mixing.entries", lambda: {id: Entry(row, kept)})
    assert main(["mixed", "--bits", "4"]) == 0
    said = capsys.readouterr()
    assert parse(said.out.splitlines()[0]).steps
    assert said.err.startswith("sensitivity: Recorded on ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", recipe(8), "--only", "sensitivity"], "by itself and of the original"),
        (["run", "dense", "--only", "sensitivity,size"], "by itself and of the original"),
        (["mixed", "--megabytes", "1", "--bits", "4"], "not allowed with"),
    ],
)
def test_what_can_not_be_is_one_sentence(words: list[str], message: str, capsys) -> None:
    assert main(words) != 0
    assert message in capsys.readouterr().err
