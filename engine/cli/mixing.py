"""`mixed`: bits by layer for a byte budget, from the sensitivities that `run dense --only sensitivity` measured."""

import argparse
import sys

from engine.analysis import words
from engine.analysis.mixed import Mixture, budget_of, propose, recipe_of, uniform
from engine.cli.choosing import opened
from engine.cli.terminal import table
from engine.errors import InputError
from engine.outcome.sensitivity import NAME, Sensitivity
from engine.quantities import format_value, nats
from engine.recorded import entries
from engine.trials import make_sensitivity


def mixed(args: argparse.Namespace) -> int:
    """Print the recipe of least predicted loss within the budget, and what is predicted of it and of uniform bits."""
    found = _measured(args.model, args.store)
    budget = budget_of(found, args.bits) if args.megabytes is None else args.megabytes * 1e6
    made = propose(found, budget, _numbers(args.widths, "--widths"), _numbers(args.protect, "--protect"))
    print(recipe_of(found, made).text)
    lines = [_line("this recipe", made)]
    lines += [_line(f"all {bits} bits", one) for bits in found.bits if (one := uniform(found, bits))]
    print(f"\n{table(['predicted', 'weights', 'nats a token'], lines)}")
    return 0


def _measured(model: str, store: str | None) -> Sensitivity:
    """What each layer minds: as measured here, or else as recorded, which is said."""
    trial = make_sensitivity(model)
    content, recorded = opened(store).profile(trial.id, NAME), entries().get(trial.id)
    if content is None and recorded is not None:
        content = recorded.kept.profiles[NAME]
        print(f"sensitivity: Recorded on {words.measured_on([recorded.row])}", file=sys.stderr)
    if content is None:
        raise InputError(
            f"the sensitivity of {model!r} is not in this store; measure it with "
            f"`python -m engine run dense --only sensitivity --model {model}`"
        )
    return Sensitivity.from_dict(content)


def _line(name: str, made: Mixture) -> list[str]:
    return [name, format_value("weight_bytes", made.weight_bytes), nats(made.loss)]


def _numbers(text: str, what: str) -> list[int]:
    """Whole numbers joined by commas; raises InputError, naming the argument, where they are none."""
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"{what} must be whole numbers joined by commas, got {text!r}") from None
