"""Compression methods, one a file. Each method's module has one function:

    compress(model, settings, windows, report) -> None

It changes `model` in place, in fp32; `windows` are calibration tokens [windows, tokens] for the methods that read
them; the same arguments give the same model. What users should know goes to `model.notes`.
"""

from collections.abc import Callable
from importlib import import_module

from torch import Tensor

from engine.models import LanguageModel
from engine.spec.fit import refuse_misfits, refuse_unknown
from engine.spec.recipe import Recipe

Report = Callable[[str, int, int], None]  # stage, units done, units in all


def compress(model: LanguageModel, recipe: Recipe, windows: Tensor | None, report: Report) -> None:
    """Apply a recipe's steps to a model, in place and in order.

    windows: calibration tokens [windows, tokens]; may be None where no step reads them. The model must be fp32.
    Raises InputError before any tensor is changed where the recipe does not fit the model.
    """
    config = model.network.config.to_dict()
    refuse_unknown(recipe, config)
    refuse_misfits(recipe, config)
    if recipe.calibrated and windows is None:
        raise ValueError("the recipe has a calibrated method and needs calibration windows")
    for number in range(1, len(recipe.steps) + 1):
        step = recipe.step_on(number - 1, model.network.config.num_hidden_layers)
        where = f"step {number} of {len(recipe.steps)}: " if len(recipe.steps) > 1 else ""

        def told(stage: str, done: int, total: int, where: str = where) -> None:
            report(where + stage, done, total)

        before = len(model.notes)
        import_module(f"engine.methods.{step.method}").compress(model, step, windows, told)
        model.notes[before:] = [f"Step {number}: {note}" if where else note for note in model.notes[before:]]
