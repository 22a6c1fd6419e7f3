"""How much the loss rises where one block alone is rounded, pruned or sliced, measured block by block.

The text is the calibration split's: windows that no method reads which is calibrated on as many windows as the
protocol's. What reaches a block in the dense model is kept, so that one way to compress a block costs only the blocks
from there on.

Memory beside the model: the residual stream of the windows and what one block makes of it (fp32 [tokens, width]), a
copy of one block, and the dense model's log-probabilities at POSITIONS places of every window (fp32 [places,
vocabulary]).
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import gcd, isfinite

import torch
from torch import Tensor

from engine import assets, calibration
from engine.blocks.walk import block_inputs
from engine.checkpoints import checkpoint
from engine.layers.weight import bias_of, plain_linear, unpacked, weight_of
from engine.measure.logits import HEAD_POSITIONS
from engine.methods import compress
from engine.methods.slicegpt import pooled_covariance, principal_axes
from engine.models import LanguageModel
from engine.network.anatomy import Block
from engine.outcome.sensitivity import POSITIONS, TOKENS, WAYS, WINDOWS, Kind, Sensitivity, Way
from engine.spec import Protocol, Recipe
from engine.spec.fit import Shape
from engine.spec.prune import Magnitude
from engine.spec.quantize import PER_CHANNEL, Rtn
from engine.spec.slicing import SliceGpt

GROUP_SIZE, SMALLEST_GROUP = 64, 8
_BF16 = 2  # bytes

Report = Callable[[str, int, int], None]  # stage, units done, units in all


def measure(model: LanguageModel, protocol: Protocol, report: Report) -> Sensitivity:
    """How sensitive the blocks of a dense fp32 model are; it is as before afterwards. Same protocol, same result.

    Raises InputError where the parts of its family are not known, or the text is too short.
    """
    count, length = protocol.calibration_windows, protocol.sequence_length
    read = calibration.windows_of(
        assets.text("calibration"), model.tokenizer, count + WINDOWS, length, protocol.seed
    )  # fmt: skip
    sliced = model.network.config.model_type in SliceGpt.families()
    axes = principal_axes(pooled_covariance(model.anatomy, read[:count], report)).float() if sliced else None
    return Measurement(model, read[count:, :TOKENS], axes).run(report)


class Measurement:
    """One measurement: the dense side that everything is held against.

    windows: [windows, tokens]; axes: principal directions of the residual stream in columns, the largest first; None of
    a family that can't be sliced, whose blocks are not sliced then.
    """

    def __init__(self, model: LanguageModel, windows: Tensor, axes: Tensor | None) -> None:
        self.model, self.windows, self.axes = model, windows, axes
        self.ways = [way for way in WAYS if axes is not None or way[0] != "slice"]
        self.blocks = model.anatomy.blocks
        places = torch.linspace(0, windows.shape[1] - 1, min(POSITIONS, windows.shape[1]))  # evenly spread
        self.places = places.long().to(model.device)
        self.group_size = _group_size(Shape.of(model.network.config.to_dict()))

    @torch.no_grad()
    def run(self, report: Report) -> Sensitivity:
        """Go through the blocks and change each in every way, alone."""
        dense_bytes = tuple(_linear_bytes(block) for block in self.blocks)
        hidden, self.arguments = block_inputs(self.model.anatomy, self.windows)
        self.dense = torch.cat(list(self._log_probabilities(self._through(0, hidden))))
        loss: list[list[float | None]] = [[] for _ in self.ways]
        sizes: list[list[int]] = [[] for _ in self.ways]
        done, total = 0, len(self.ways) * len(self.blocks) * (len(self.blocks) + 1) // 2  # blocks run
        for place in range(len(self.blocks)):
            for number, (kind, amount) in enumerate(self.ways):
                report("change one layer at a time", done, total)
                with self._twin(place) as twin:
                    self._change(twin, place, kind, amount)
                    if kind == "bits":
                        sizes[number].append(_linear_bytes(twin))
                    _unpack(twin)
                    loss[number].append(self._divergence(self._through(place, hidden)))
                done += len(self.blocks) - place
            hidden = self._run(place, hidden)
        report("change one layer at a time", total, total)
        return Sensitivity(
            ways=tuple(Way(*way, tuple(loss[n]), tuple(sizes[n])) for n, way in enumerate(self.ways)),
            dense_bytes=dense_bytes,
            other_bytes=_bytes(checkpoint.plain_tensors(self.model.network)) - sum(dense_bytes),
            group_size=self.group_size,
            windows=self.windows.shape[0],
            tokens=self.windows.shape[1],
            positions=len(self.dense),
        )

    def _run(self, place: int, hidden: Tensor) -> Tensor:
        """What a block makes of the stream [windows, tokens, width]."""
        after: Tensor = self.model.anatomy.blocks[place].module(hidden, **self.arguments[place])
        return after

    def _through(self, place: int, hidden: Tensor) -> Tensor:
        """The stream after all blocks, from what reaches the block at `place`."""
        for block in range(place, len(self.blocks)):
            hidden = self._run(block, hidden)
        return hidden

    def _log_probabilities(self, hidden: Tensor) -> Iterator[Tensor]:
        """Of the next tokens at the places compared, [places, vocabulary], some places at a time."""
        for piece in torch.split(hidden[:, self.places].flatten(0, 1), HEAD_POSITIONS):
            yield self.model.anatomy.logits(piece).float().log_softmax(-1)

    def _divergence(self, hidden: Tensor) -> float | None:
        """KL(dense || changed) in nats a token, from the stream after all blocks; None where numbers overflow.

        Rounding brings a divergence of equal distributions a little below zero; it is zero then.
        """
        total = 0.0
        for dense, ours in zip(torch.split(self.dense, HEAD_POSITIONS), self._log_probabilities(hidden), strict=True):
            total += (dense.exp() * (dense - ours)).sum(-1).double().sum().item()
        return max(0.0, total / len(self.dense)) if isfinite(total) else None

    @contextmanager
    def _twin(self, place: int) -> Iterator[Block]:
        """A copy of a block, which stands in its place meanwhile."""
        block = self.blocks[place]
        twin = Block(block.name, copy.deepcopy(block.module), block.layout)
        self.model.anatomy.replace(block.name, twin.module)
        try:
            yield twin
        finally:
            self.model.anatomy.replace(block.name, block.module)

    def _change(self, twin: Block, place: int, kind: Kind, amount: float) -> None:
        """Change the block that stands at a place in one way."""
        alone = LanguageModel(self.model.network, self.model.tokenizer, self.model.source)
        match kind:
            case "bits":
                step = Rtn(int(amount), self.group_size, blocks=(place,))
                compress(alone, Recipe((step,)), None, _silent)
            case "sparsity":
                compress(alone, Recipe((Magnitude(amount, blocks=(place,)),)), None, _silent)
            case "slice":
                assert self.axes is not None
                project(twin, self.axes[:, : round((1 - amount) * len(self.axes))])


def project(block: Block, axes: Tensor) -> None:
    """Have a block read and write the residual stream along some directions only, axes [width, kept], in place.

    What it reads is projected as `slice:slicegpt` does, behind the norm and before its gain. Unlike there the rest of
    the stream passes by, and the norm runs over all of it: only this block does without the directions.
    """
    kept = (axes @ axes.T).to(block.input_norm.get_parameter("weight").device)
    for norm, readers in block.readers:
        offset = block.layout.gain_offset
        gain = norm.get_parameter("weight") + offset
        for name, layer in readers.items():
            block.replace(name, plain_linear((weight_of(layer) * gain) @ kept, bias_of(layer)))
        norm.get_parameter("weight").data = torch.full_like(gain, 1 - offset)
    for name, layer in block.writers.items():
        bias = bias_of(layer)
        block.replace(name, plain_linear(kept @ weight_of(layer), None if bias is None else kept @ bias))


def _group_size(shape: Shape) -> int:
    """The usual group size, or the largest below it that divides every linear's inputs; whole rows if none does."""
    fitting = gcd(GROUP_SIZE, *shape.widths().values())
    return fitting if fitting >= SMALLEST_GROUP else PER_CHANNEL


def _unpack(block: Block) -> None:
    for name, layer in block.linears.items():
        block.replace(name, unpacked(layer))


def _linear_bytes(block: Block) -> int:
    """Of a block's linears as a checkpoint stores them: packed matrices as they are, all else in bf16."""
    tensors = (item for layer in block.linears.values() for item in layer.state_dict().items())
    return sum(
        tensor.numel() * (tensor.element_size() if name.startswith("matrix.") else _BF16) for name, tensor in tensors
    )


def _bytes(tensors: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _silent(stage: str, done: int, total: int) -> None:
    pass
