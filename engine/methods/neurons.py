"""Width pruning of the MLP: remove the neurons that count least, equally many from every block."""

from torch import Tensor

from engine.layers.cut import off_their_grid
from engine.methods import Report
from engine.methods.importance import largest, unit_scores
from engine.methods.rounds import steps_down
from engine.models import LanguageModel
from engine.spec.fit import refuse_neurons
from engine.spec.prune import IMPORTANCE, Neurons


def compress(model: LanguageModel, settings: Neurons, windows: Tensor | None, report: Report) -> None:
    """Leave in every block the `settings.width` neurons that count most, in their order.

    A neuron is a row of the linears that read the stream and a column of the one that writes to it. A standard
    configuration has one width for all blocks, so neurons are compared within theirs. windows: calibration tokens
    [windows, tokens], which magnitude does not read. Changes `model` in place; same windows, same result.
    Raises InputError, before any tensor is changed, where rounding leaves no neuron or removes none.
    Source: Muralidharan et al. 2024, arXiv:2407.14679, section 2.2; what goes together: Ma et al. 2023,
    arXiv:2305.11627, section 3.1.
    """
    anatomy = model.anatomy
    width = anatomy.blocks[0].neurons
    refuse_neurons(settings, width)
    target = settings.width(width)
    with off_their_grid(model.network, model.notes):
        for left in steps_down(width, target, settings.rounds):
            scores = unit_scores(model, anatomy.layout.mlp_out, 1, settings.importance, windows, report)
            anatomy.keep_neurons([largest(score, left) for score in scores])
    if target < width:
        by = IMPORTANCE[settings.importance]
        model.notes.append(
            f"Removed {width - target} of {width} neurons of every block, chosen {by}; {target} are left."
        )
