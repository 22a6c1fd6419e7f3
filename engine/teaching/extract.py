"""A model's teaching pack, taken in a process of its own.

    python -m engine.teaching.extract < job.json       {"model": …, "revision": …, "path": …}

The events are those of a trial. The same model and data give the same pack on one machine.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from engine import assets, models
from engine.calibration import windows_of
from engine.layers.weight import outputs_of
from engine.methods import Report
from engine.methods.importance import input_norms
from engine.methods.slicegpt import pooled_covariance
from engine.models import LanguageModel
from engine.network import sources
from engine.system import entry
from engine.system.events import Events
from engine.teaching import next_words, pack, shown_weights, straight_through, stream, students
from engine.teaching.pack import Pack, Shape

WINDOWS, HELDOUT_WINDOWS, TOKENS, SEED = 8, 4, 256, 0
CALIBRATION = f"{WINDOWS} windows of {TOKENS} tokens of Wikipedia passages"
HELDOUT = f"{HELDOUT_WINDOWS} windows of {TOKENS} tokens of held-out passages"


def run(asked: Mapping[str, Any], events: Events) -> None:
    """Find the model, take its pack and write it."""
    events.stage("load the model")
    source = sources.resolve(asked["model"], asked["revision"])
    model = models.load(source)
    windows = windows_of(assets.text("calibration"), model.tokenizer, WINDOWS, TOKENS, SEED)
    heldout = windows_of(assets.text("heldout"), model.tokenizer, HELDOUT_WINDOWS, TOKENS, SEED)
    pack.write(extract(model, windows, heldout, events.staged_progress), Path(asked["path"]))


def extract(model: LanguageModel, windows: Tensor, heldout: Tensor, report: Report) -> Pack:
    """The pack of a model, which is left as it came; windows: calibration tokens [windows, tokens], heldout: others.

    Raises InputError where the parts of the model's family are not known.
    """
    anatomy, source = model.anatomy, model.source
    outputs = {f"{block.name}.{(name := block.layout.attention_out)}": block.linears[name] for block in anatomy.blocks}
    norms = input_norms(anatomy, {**shown_weights.tile_layers(anatomy), **outputs}, windows, report)
    covariance = pooled_covariance(anatomy, windows, report)
    rows, tiles = shown_weights.rows(anatomy), shown_weights.tiles(anatomy, norms)
    return Pack(
        model=source.name,
        weights_sha256=source.weights_sha256,
        calibration=CALIBRATION,
        heldout=HELDOUT,
        shape=shape(model),
        rows=rows,
        tiles=tiles,
        histograms=shown_weights.histograms(anatomy, [*(row.tensor for row in rows), *(tile.tensor for tile in tiles)]),
        training=straight_through.training(anatomy, windows, heldout, report),
        spectrum=stream.spectrum(covariance, sum(len(block.readers) for block in anatomy.blocks) + 1),
        cloud=stream.cloud(anatomy, windows[:2], report),
        scores=stream.scores(model, norms, windows, report),
        next_words=next_words.next_words(model),
        cuts=()
        if anatomy.layout.no_rotation
        else next_words.cuts(lambda: models.load(source), covariance, heldout, report),
        lesson=students.lesson(lambda: models.load(source), windows, report),
    )


def shape(model: LanguageModel) -> Shape:
    """The sizes of a model whose family is known."""
    config, block = model.network.config, model.anatomy.blocks[0]
    return Shape(
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        intermediate=block.neurons,
        heads=block.heads,
        kv_heads=block.heads // block.queries_per_key,
        head_dim=block.head_dim,
        vocabulary=config.vocab_size,
        tied=model.anatomy.tied,
        parameters=model.source.parameters,
        mlp_matrices=1 + sum(map(outputs_of, block.mlp_in.values())) // block.neurons,
    )


if __name__ == "__main__":
    entry.main(run)
