"""The arguments of all commands: one sentence for what is wrong with them, and help."""

from pathlib import Path

import pytest

from engine.__main__ import main
from engine.cli.arguments import command as command_of
from engine.cli.arguments import parser
from tests.cli.conftest import states

pytestmark = pytest.mark.usefixtures("prepared")
TOO_LONG = "x" * 300
BAD = [
    (["run", "quantise:rtn"], "did you mean 'quantize'"),
    (["run", "quantize:rtn,bits=0"], "bits must be in [2, 8], got 0"),
    (["run", "slice:slicegpt,fraction=1"], "fraction must be in [0.0, 1.0), got 1"),
    (["run", "quantize:rtn,bits=4,group_size=48"], "group_size=48 does not divide the 64 inputs"),
    (["run", "dense", "--tasks", "pica"], "did you mean 'piqa'"),
    (["run", "dense", "--tasks", "piqa", "--limit", "0"], "limit must be in [1, 1000000], got 0"),
    (["run", "dense", "--tasks", "piqa", "--limit", "many"], "invalid int value: 'many'"),
    (["run", "dense", "--tasks", "piqa", "--limit", "9" * 20], "limit must be in [1, 1000000], got 9999"),
    (["run", "dense", "--tasks", ""], "tasks must be names joined by commas, got ''"),
    (["run", "dense", "--only", ""], "unknown measure ''"),
    (["run", "dense", "--tasks", "piqa", "--store", ""], "'' is no database URL"),
    (["run", "dense", "--only", "speed"], "unknown measure 'speed'"),
    (["run", "dense", "--tasks", "piqa", "--data", "/no/such"], "the data folder '/no/such' does not exist"),
    (
        ["run", "dense", "--tasks", "piqa", "--json", "/no/such/x.json"],
        "the folder '/no/such' of --json does not exist",
    ),
    (["run", "dense", "--tasks", "piqa", "--json", "/"], "--json can't write '/'"),
    (["run", "dense", "--tasks", "piqa", "--store", "nonsense"], "'nonsense' is no database URL"),
    (["run", "dense", "--json", "/dev/null"], "--json can't write '/dev/null': it is no regular file"),
    (["run", "dense", "--json", "~nouser/x"], "--json can't be '~nouser/x'"),
    (["run", "dense", "--json", TOO_LONG], "File name too long"),
    (["run", "dense", "--data", "~nouser/x"], "--data can't be '~nouser/x'"),
    (["tasks", "--data", TOO_LONG], "File name too long"),
    (["tasks", "--data", ""], "--data must be a path, got ''"),
    (["export", "dense", "~nouser/x"], "DIR can't be '~nouser/x'"),
    (["export", "dense", TOO_LONG], "File name too long"),
    (["front", "--store", "nonsense"], "'nonsense' is no database URL"),
    (["front", "--store", "sqlite:///no-such.db"], "there is no store 'no-such.db'"),
    (["export", "0123456789abcdef", "made", "--store", "sqlite:///no-such.db"], "there is no store 'no-such.db'"),
    (["run"], "the following arguments are required: RECIPE"),
    (["rum"], "invalid choice: 'rum'"),
    (["sweep", "/no/such.yaml"], "can't read the sweep file"),
    (["front", "--x", "weight"], "weight_bytes"),
    (["front", "--json", "/no/such/x.json"], "does not exist"),
    (["export", "dense"], "the following arguments are required: DIR"),
    (["export", "dense", "/"], "not an empty folder"),
    (["export", "0123456789abcdef", "made"], "there is no trial '0123456789abcdef'"),
    (["tasks", "--data", "/no/such"], "does not exist"),
    (["worker", "--store", "sqlite:////no/such/store.db"], "its folder must exist"),
    (["report", "/no/such/report.html"], "the folder '/no/such' of FILE.html does not exist"),
    (["report", "made.html", "--store", "sqlite:///no-such.db"], "there is no store 'no-such.db'"),
    (["report", "made.html"], "no finished result to report"),
    (["report", "made.html", "--axes", "beauty"], "invalid choice"),
    (["save", "made.kneepoint"], "no finished trial to save"),
    (["save", "made.kneepoint", "--sweep", "7"], "there is no sweep 7"),
]


@pytest.mark.parametrize(
    ("arguments", "says"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_one_sentence_and_exit_code_two(arguments: list[str], says: str, prepared: str, capsys) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert states(prepared) == {}
    assert not Path("no-such.db").exists()


@pytest.mark.parametrize(
    "command",
    ["fetch", "models", "methods", "tasks", "run", "sweep", "worker", "front", "export", "generate", "report", "save"],
)
def test_every_command_has_help(command: str, capsys) -> None:
    for arguments in (["--help"], [command, "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
    assert command in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        "fetch", "models", "methods", "tasks", "run dense", "sweep FILE", "worker", "front", "export dense DIR",
        "generate PROMPT dense", "report FILE", "save FILE",
    ],
)  # fmt: skip
def test_every_command_has_its_function(arguments: str) -> None:
    assert callable(command_of(parser().parse_args(arguments.split()).command))
