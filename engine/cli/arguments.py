"""The commands and their arguments, as `python -m engine --help` shows them.

A command is named "module:function" of engine/cli, and its module is imported when it is called: `fetch` stands before
every start of the dashboard, and needs neither the store nor the plots.
"""

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from engine.errors import InputError
from engine.meeting.terms import Terms
from engine.metrics import PRESETS
from engine.outcome.texts import MOST_TOKENS
from engine.spec import DEFAULT_MODEL, KNOWN_MEASURES, MEASURES

_STORE = "database URL of the store (default: KNEEPOINT_STORE, or a file in the user's data folder)"
_TASKS = "zero-shot tasks, joined by commas; five is a group, lm_eval:<name> one of an installed lm-eval's"
_DATA = "folder of <task>.jsonl files that go before the default data (default: KNEEPOINT_DATA)"
_MODEL = f"the default's name, a model folder, or a hub id with an optional @revision (default: {DEFAULT_MODEL})"
_RECIPE = "recipe, such as dense, quantize:rtn,bits=4 or 'slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4'"
_ONLY = (
    f"what to measure, joined by commas, of {','.join(KNOWN_MEASURES)} (default: {','.join(MEASURES)}); "
    "sensitivity by itself, of dense"
)


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see `{self.prog} --help`")


def parser() -> Parser:
    """The parser of the whole command line; what it finds in `command` names the command's function."""
    top = Parser("python -m engine", description="Compress a language model for real, and measure what it costs.")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_catalog(commands)
    _add_measuring(commands)
    _add_choosing(commands)
    _add_mixed(commands)
    _add_keeping(commands)
    return top


def command(name: str) -> Callable[[argparse.Namespace], int]:
    """The function that the parser named; it returns the exit status."""
    module, function = name.split(":")
    found: Callable[[argparse.Namespace], int] = getattr(import_module(f"engine.cli.{module}"), function)
    return found


def _add_catalog(commands: "argparse._SubParsersAction[Parser]") -> None:
    for name, help, command in (
        ("fetch", "get and verify the default model and data", "catalog:fetch"),
        ("models", "list the models that need no network", "catalog:models"),
        ("methods", "list the methods with their settings", "catalog:methods"),
    ):
        commands.add_parser(name, help=help, description=help).set_defaults(command=command)
    tasks = commands.add_parser("tasks", help="list the zero-shot tasks")
    tasks.add_argument("--data", metavar="DIR", help=_DATA)
    tasks.set_defaults(command="catalog:tasks")


def _add_measuring(commands: "argparse._SubParsersAction[Parser]") -> None:
    run = commands.add_parser("run", help="measure one recipe in the foreground")
    run.add_argument("recipe", metavar="RECIPE", help=_RECIPE)
    run.add_argument("--model", metavar="M", default=DEFAULT_MODEL, help=_MODEL)
    run.add_argument("--tasks", metavar="T1,T2", help=_TASKS)
    run.add_argument("--limit", metavar="N", type=int, help="items of each task")
    run.add_argument("--data", metavar="DIR", help=_DATA)
    run.add_argument("--only", metavar="WHAT", help=_ONLY)
    run.add_argument("--store", metavar="URL", help=_STORE)
    run.add_argument("--json", metavar="FILE", help="write the result with every answer to this file")
    run.set_defaults(command="loading:run")
    sweep = commands.add_parser("sweep", help="measure a list or grid of recipes; goes on where it stopped")
    sweep.add_argument("file", metavar="FILE.yaml", help="model, protocol, recipes and grid")
    sweep.add_argument("--data", metavar="DIR", help=_DATA)
    sweep.add_argument("--only", metavar="WHAT", help=_ONLY)
    sweep.add_argument("--store", metavar="URL", help=_STORE)
    sweep.set_defaults(command="measuring:sweep")
    worker = commands.add_parser("worker", help="run what pages submit, until stopped")
    worker.add_argument("--store", metavar="URL", help=_STORE)
    worker.set_defaults(command="loading:serve")


def _add_choosing(commands: "argparse._SubParsersAction[Parser]") -> None:
    front = commands.add_parser("front", help="print the Pareto front of the results")
    where = front.add_mutually_exclusive_group()
    where.add_argument("--store", metavar="URL", help=_STORE)
    where.add_argument("--recorded", action="store_true", help="of the results that ship with the package")
    front.add_argument("--x", metavar="METRIC", default="weight_bytes", help="(default: weight_bytes)")
    front.add_argument("--y", metavar="METRIC", default="accuracy", help="(default: accuracy)")
    front.add_argument("--json", metavar="FILE", help="write every finished trial, each with on_front, to this file")
    front.add_argument("--answers", action="store_true", help="write every trial's answers there too, packed")
    front.set_defaults(command="choosing:front")
    export = commands.add_parser("export", help="write a compressed model to a folder")
    export.add_argument("trial_or_recipe", metavar="TRIAL_OR_RECIPE", help="a trial's id, or a recipe")
    export.add_argument("folder", metavar="DIR", help="folder to make; it must be empty or not there yet")
    export.add_argument("--format", choices=("plain", "packed"), default="plain", help="(default: plain)")
    export.add_argument("--model", metavar="M", default=DEFAULT_MODEL, help=f"of a recipe: {_MODEL}")
    export.add_argument("--store", metavar="URL", help=_STORE)
    export.set_defaults(command="choosing:export")
    generate = commands.add_parser("generate", help="have models answer one prompt, and see where they part")
    generate.add_argument("prompt", metavar="PROMPT", help="what each model answers")
    generate.add_argument(
        "trials_or_recipes",
        metavar="TRIAL_OR_RECIPE",
        nargs="+",
        help="up to four; the others are held against the first",
    )
    generate.add_argument("--tokens", metavar="N", type=int, default=64, help=f"at most {MOST_TOKENS} (default: 64)")
    generate.add_argument("--plain", action="store_true", help="the prompt as it is, without the chat template")
    generate.add_argument("--model", metavar="M", default=DEFAULT_MODEL, help=f"of recipes: {_MODEL}")
    generate.add_argument("--store", metavar="URL", help=_STORE)
    generate.set_defaults(command="generating:generate")


def _add_mixed(commands: "argparse._SubParsersAction[Parser]") -> None:
    mixed = commands.add_parser("mixed", help="print the recipe of bits by layer that fits a budget")
    budget = mixed.add_mutually_exclusive_group(required=True)
    budget.add_argument("--megabytes", metavar="N", type=float, help="most that the weights may take, MB of 10^6")
    budget.add_argument("--bits", metavar="B", type=float, help="as many bytes as B bits in every layer take")
    mixed.add_argument("--widths", metavar="B1,B2", default="8,4,3,2", help="bits to choose from (default: 8,4,3,2)")
    mixed.add_argument("--protect", metavar="L1,L2", default="", help="layers to leave as they are, counted from 0")
    mixed.add_argument("--model", metavar="M", default=DEFAULT_MODEL, help=_MODEL)
    mixed.add_argument("--store", metavar="URL", help=_STORE)
    mixed.set_defaults(command="mixing:mixed")


def _add_keeping(commands: "argparse._SubParsersAction[Parser]") -> None:
    usual = Terms()
    report = commands.add_parser("report", help="write the results as one HTML file that works offline")
    report.add_argument("file", metavar="FILE.html", help="file to write")
    where = report.add_mutually_exclusive_group()
    where.add_argument("--store", metavar="URL", help=_STORE)
    where.add_argument("--recorded", action="store_true", help="of the results that ship with the package")
    report.add_argument("--axes", choices=tuple(PRESETS), default="size-quality", help="(default: size-quality)")
    for name, value, help in (
        ("points", usual.points, "how many points of quality the smallest result may lose"),
        ("memory", usual.memory_gb, "memory budget in GB"),
        ("price", usual.price_per_hour, "price of the machine for an hour, in any currency"),
    ):
        report.add_argument(f"--{name}", metavar="N", type=float, default=value, help=f"{help} (default: {value:g})")
    report.set_defaults(command="keeping:report")
    save = commands.add_parser("save", help="write a sweep to one file that opens elsewhere, read-only")
    save.add_argument("file", metavar="FILE.kneepoint", help="file to write")
    save.add_argument("--sweep", metavar="N", type=int, help="number of the sweep (default: all finished trials)")
    save.add_argument("--store", metavar="URL", help=_STORE)
    save.set_defaults(command="keeping:save")
