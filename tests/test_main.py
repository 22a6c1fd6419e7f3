"""The command line: what it prints and writes, how it stops, and the one sentence for what is wrong."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import worker
from engine.__main__ import main
from engine.cli import choosing, measuring
from engine.cli.arguments import command as command_of
from engine.cli.arguments import parser
from engine.cli.progress_line import ProgressLine
from engine.front import FLATTERED_NOTE
from engine.lock import holder
from engine.metrics import METRICS
from engine.nursery import Nursery
from engine.spec import METHODS, Protocol, parse
from engine.store import Queue, Store, StoreError
from engine.trials import make_trial
from tests import fake_trial
from tests.made_rows import row, sweep
from tests.processes import wait_until
from tests.test_trials import resolve_to, write_piqa  # noqa: F401  (a fixture)

DESIGN_KEYS = {"trial", "model", "recipe", "protocol", "metrics", "items", "environment", "simulated"}


@pytest.fixture(autouse=True)
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolve_to) -> str:  # noqa: F811
    """A store and data of the test's own, a model that resolves, and the fake child; gives the store's URL."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    (tmp_path / "data").mkdir()
    write_piqa(tmp_path / "data")
    monkeypatch.setattr(measuring, "Nursery", lambda: Nursery(fake_trial.MODULE))
    values = {"CACHE": str(tmp_path / "cache"), "STORE": url, "DATA": str(tmp_path / "data")}
    for name, value in values.items():
        monkeypatch.setenv(f"KNEEPOINT_{name}", value)
    return url


def recipe(bits: int) -> str:
    return f"quantize:rtn,bits={bits},group_size=32"


def run(bits: int, *more: str) -> int:
    return main(["run", recipe(bits), "--tasks", "piqa", "--limit", "2", *more])


def sweep_file(tmp_path: Path, *bits: int) -> str:
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps({"protocol": {"tasks": ["piqa"], "limit": 2}, "recipes": [recipe(b) for b in bits]}))
    return str(path)


def interrupt_when_it_runs(url: str, bits: int, number: int = signal.SIGINT) -> None:
    """Send this process a signal, from a thread, once the trial runs."""
    store = Store(url)  # made here: two that make the same new store at once may be refused

    def wait() -> None:
        wait_until(lambda: any(row.recipe == recipe(bits) for row in store.rows(states=["running"])))
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


def when_said(monkeypatch: pytest.MonkeyPatch, words: str, act: Callable[[], object]) -> None:
    """Do something as soon as the command has said a line with these words."""
    say = ProgressLine.say

    def say_and_act(line: ProgressLine, text: str) -> None:
        say(line, text)
        if words in text:
            act()

    monkeypatch.setattr(ProgressLine, "say", say_and_act)


@pytest.fixture
def serving(prepared: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker with the fake child that holds the store's lock."""
    command, environment = [*fake_trial.WORKER, prepared], {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        wait_until(lambda: holder(prepared) == process.pid)
        yield process
        process.kill()


def states(url: str) -> dict[str, str]:
    store = Store(url)
    found = {row.recipe: row.state for row in store.rows()}
    store.close()
    return found


def test_run_prints_a_table_with_units_and_writes_the_designs_json(tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.json"
    assert run(fake_trial.WORKS, "--json", str(target)) == 0
    said = capsys.readouterr()
    assert "8-bit, round to nearest, groups of 32" in said.out
    assert "100.0%" in said.out
    assert "done after" in said.err
    content = json.loads(target.read_text())
    assert set(content) >= DESIGN_KEYS
    assert content["recipe"] == recipe(8)
    assert content["protocol"]["tasks"] == ["piqa"]
    assert content["metrics"]["weight_bytes"] == 800.0
    answer = {"id": 0, "loglikelihoods": [-1.0, -2.0], "choice": 0, "choice_norm": 0, "correct": True}
    assert content["items"] == {"piqa": [answer]}
    assert content["environment"]["cpu"] == "none"
    assert content["texts"] == fake_trial.written(8)
    assert '"tokens": [1, 8],' in target.read_text()


def test_run_writes_what_is_infinite_as_null_with_its_reason(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    assert run(fake_trial.INFINITE, "--json", str(target)) == 0
    content = json.loads(target.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["metrics"]["perplexity"] is None
    assert "is infinite" in content["reasons"]["perplexity"]


def test_run_measures_dense_first_once_and_reuses_what_is_there(prepared: str, capsys) -> None:
    assert run(fake_trial.WORKS) == 0
    assert states(prepared) == {"dense": "done", recipe(8): "done"}
    first = capsys.readouterr()
    assert first.err.index("dense (") < first.err.index(f"{recipe(8)} (")
    assert run(fake_trial.WORKS) == 0
    again = capsys.readouterr()
    assert again.err == "Already measured: the results come from the store.\n"
    assert again.out == first.out
    assert run(fake_trial.CHATTY) == 0
    assert "dense (" not in capsys.readouterr().err


def test_run_of_what_is_not_paired_needs_no_dense_trial(prepared: str) -> None:
    assert run(fake_trial.WORKS, "--only", "size,latency") == 0
    assert list(states(prepared)) == [recipe(8)]


def test_run_of_a_trial_that_fails_says_why_and_writes_nothing(tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.json"
    assert run(fake_trial.RAISES, "--json", str(target)) == 1
    assert f"{recipe(6)} failed: bits were wrong" in capsys.readouterr().err
    assert not target.exists()


def test_run_waits_for_a_trial_that_another_process_measures(prepared: str, monkeypatch, capsys) -> None:
    trial = make_trial("smollm2-135m-instruct", parse(recipe(8)), Protocol(tasks=("piqa",), limit=2))
    store = Store(prepared)
    store.submit([trial], ["size"])
    with Queue(store) as other:
        job = other.claim()
        assert job is not None

        def finish() -> None:
            other.keep_metrics(trial.id, {"weight_bytes": 123e6}, {})
            other.finish(job)

        when_said(monkeypatch, "is being measured by another process; waiting for it", finish)
        assert run(fake_trial.WORKS, "--only", "size") == 0
    assert "123 MB" in capsys.readouterr().out


def test_run_interrupted_cancels_its_trial_and_stops(prepared: str, capsys) -> None:
    interrupt_when_it_runs(prepared, fake_trial.SLOW)
    assert run(fake_trial.SLOW) == 130
    assert states(prepared) == {"dense": "done", recipe(7): "cancelled"}
    assert "Interrupted" in capsys.readouterr().err


def test_run_interrupted_gives_back_what_another_had_queued(prepared: str) -> None:
    trial = make_trial("smollm2-135m-instruct", parse(recipe(fake_trial.SLOW)), Protocol(tasks=("piqa",), limit=2))
    store = Store(prepared)
    store.submit([trial], ["size", "accuracy"], "another's")
    interrupt_when_it_runs(prepared, fake_trial.SLOW)
    assert run(fake_trial.SLOW) == 130
    assert states(prepared) == {"dense": "done", recipe(fake_trial.SLOW): "queued"}


def test_sweep_says_what_is_wrong_with_the_store_at_once(tmp_path: Path, monkeypatch, capsys) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the store is read-only")

    monkeypatch.setattr(Queue, "claim", refuse)
    assert main(["sweep", sweep_file(tmp_path, fake_trial.WORKS)]) == 2
    assert "the store is read-only" in capsys.readouterr().err


def test_sweep_measures_all_prints_a_table_and_has_nothing_left_to_do(tmp_path: Path, prepared: str, capsys) -> None:
    file = sweep_file(tmp_path, fake_trial.WORKS, fake_trial.CHATTY)
    assert main(["sweep", file]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("3 trials, 0 of them already measured.")
    assert [line.split()[0] for line in said.out.splitlines()[2:]] == ["dense", recipe(8), recipe(3)]
    assert main(["sweep", file]) == 0
    assert capsys.readouterr().err == "3 trials, 3 of them already measured.\n"
    assert holder(prepared) is None


def test_sweep_with_a_failing_trial_runs_the_others_and_exits_with_one(tmp_path: Path, prepared: str, capsys) -> None:
    assert main(["sweep", sweep_file(tmp_path, fake_trial.KILLED, fake_trial.WORKS)]) == 1
    assert states(prepared) == {"dense": "done", recipe(5): "failed", recipe(8): "done"}
    assert "failed: quantize:rtn,bits=5,group_size=32: the process was killed (signal 9)" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sweep_interrupted_keeps_its_place(tmp_path: Path, prepared: str, capsys, number: int) -> None:
    file = sweep_file(tmp_path, fake_trial.SLOW, fake_trial.WORKS)
    interrupt_when_it_runs(prepared, fake_trial.SLOW, number)
    assert main(["sweep", file]) == 130
    assert states(prepared) == {"dense": "done", recipe(7): "queued", recipe(8): "queued"}
    assert "1 of 3 trials done; the same command goes on from here" in capsys.readouterr().err


def test_sweep_watches_the_worker_that_runs(tmp_path: Path, serving, monkeypatch) -> None:
    serving.send_signal(signal.SIGSTOP)  # so that it has not done all before it is seen
    watched = f"The worker (process {serving.pid}) runs these trials"
    when_said(monkeypatch, watched, lambda: serving.send_signal(signal.SIGCONT))
    assert main(["sweep", sweep_file(tmp_path, fake_trial.WORKS)]) == 0


def test_sweep_goes_on_itself_when_the_worker_it_watches_is_killed(
    tmp_path: Path, prepared: str, serving, monkeypatch, capsys
) -> None:
    store = Store(prepared)

    def kill() -> None:
        wait_until(lambda: any(row.recipe == recipe(7) for row in store.rows(states=["running"])))
        serving.kill()

    when_said(monkeypatch, "runs these trials", kill)
    when_said(monkeypatch, f"{recipe(7)} (", lambda: os.kill(os.getpid(), signal.SIGINT))
    assert main(["sweep", sweep_file(tmp_path, fake_trial.SLOW)]) == 130
    assert "waits again: the worker that ran it is gone" in capsys.readouterr().err
    assert states(prepared)[recipe(7)] == "queued"


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


def test_a_full_disk_is_one_sentence(monkeypatch, capsys) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/full/store.db.lock")

    monkeypatch.setattr(worker, "hold", refuse)
    assert main(["worker"]) == 2
    assert capsys.readouterr().err == (
        "error: the disk of /full/store.db.lock is full; free some space, then run it again\n"
    )


def test_a_result_that_could_not_be_put_beside_the_old_one_is_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    target = tmp_path / "out.json"
    target.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert run(fake_trial.WORKS, "--json", str(target)) == 2
    assert "or its folder, is not writable" in capsys.readouterr().err


def test_front_marks_the_trials_on_it_and_writes_all(tmp_path: Path, capsys) -> None:
    for bits in (fake_trial.WORKS, fake_trial.CHATTY):
        run(bits)
    capsys.readouterr()
    target = tmp_path / "front.json"
    assert main(["front", "--json", str(target)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert lines[recipe(3)].endswith("*")
    assert not lines[recipe(8)].endswith("*")
    written = {entry["recipe"]: entry for entry in json.loads(target.read_text())}
    assert {name: entry["on_front"] for name, entry in written.items()} == {
        "dense": False,
        recipe(3): True,
        recipe(8): False,
    }
    assert all("items" not in entry for entry in written.values())
    assert written[recipe(3)]["texts"] == fake_trial.written(3)[:5]


def test_front_says_where_the_knee_is_and_what_is_not_as_real_as_it_looks(monkeypatch, capsys) -> None:
    grid = "quantize:rtn,bits=4,group_size=32,symmetric=false"
    rows = [*sweep()[0], row(grid, metrics={"weight_bytes": 1e8, "accuracy": 0.5})]
    monkeypatch.setattr(choosing, "recorded", lambda: rows)
    assert main(["front", "--recorded"]) == 0
    said = capsys.readouterr().out
    lines = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    assert "yes" in lines["quantize:rtn,bits=2,group_size=64"]
    assert "yes" not in lines["quantize:rtn,bits=8,group_size=64"]
    assert f"{grid}†" in lines
    assert FLATTERED_NOTE in said
    assert "\nThe knee" in said


def test_report_and_save_write_their_files(tmp_path: Path, capsys) -> None:
    run(fake_trial.WORKS)
    capsys.readouterr()
    assert main(["report", str(tmp_path / "report.html")]) == 0
    assert main(["report", str(tmp_path / "shipped.html"), "--recorded", "--memory", "0.5"]) == 0
    assert main(["save", str(tmp_path / "mine.kneepoint")]) == 0
    assert "2 finished trials are in" in capsys.readouterr().out
    assert "Measured by whoever wrote this report" in (tmp_path / "report.html").read_text()
    assert "Shipped with Kneepoint" in (tmp_path / "shipped.html").read_text()
    assert (tmp_path / "mine.kneepoint").read_bytes().startswith(b"SQLite format 3")


def test_methods_tell_each_methods_paper_settings_and_what_is_real(capsys) -> None:
    assert main(["methods"]) == 0
    said = capsys.readouterr().out
    for name, method in METHODS.items():
        assert f"{name}  {method.summary}" in said
        assert method.paper in said
        assert method.real in said
    assert "group_size  int = 64" in said
    assert "in [8, 4096] or -1" in said


def test_tasks_say_where_their_items_come_from(capsys) -> None:
    assert main(["tasks"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "3 items" in lines["piqa"]
    assert "from the hub, at its first use" in lines["blimp"]
    assert "arc_challenge" in lines["five"]


@pytest.mark.parametrize(
    "command", ["fetch", "models", "methods", "tasks", "run", "sweep", "worker", "front", "export", "report", "save"]
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


def test_fetch_which_stands_before_every_start_imports_little() -> None:
    probe = (
        "import sys, engine.__main__; from engine.cli.arguments import command; command('catalog:fetch'); "
        "print(*{'numpy', 'plotly', 'sqlalchemy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m engine methods | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("dense")
    assert done.stderr == ""


def test_every_metric_of_a_table_has_a_label() -> None:
    assert all(metric.label for metric in METRICS.values())
