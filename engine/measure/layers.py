"""Where in a model compression does its damage: the error of the hidden state after every block, and of every linear.

Both networks read the same few windows of held-out text. The dense one reads them before it is compressed in place
and leaves its states in files, one a window: of two models only one is in memory, and of the states one block's.

The error of a token's state h is ||h - h_dense|| / ||h_dense||, and the mean over tokens is told: over all numbers
together the first token would rule, whose states are a hundred times the others'. A block that was removed hands its
input on, and that is held against what the dense block gave. A sliced stream is turned back first: its embedding
E R of the dense E says how it was turned, and R's pseudo-inverse turns back what the cut has left.

A linear's error is ||W - W_dense|| / ||W_dense||, of dequantized weights, a pruned weight being a zero. Where
the shapes differ there is none, and where a method writes the same function in other numbers it would mean nothing.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from engine import assets, calibration
from engine.layers.weight import weight_of
from engine.models import LanguageModel
from engine.network import weights
from engine.network.anatomy import Anatomy
from engine.outcome.layer_errors import LayerErrors, LinearErrors
from engine.spec import Recipe
from engine.spec.slicing import SliceGpt

WINDOWS, TOKENS, SEED = 4, 128, 0
_ROWS_A_COLUMN = 4  # of the embedding, which tell how the stream was turned

Report = Callable[[int, int], None]


class Layers:
    """The dense model's side, read before the compression, and the comparison with what the model has become.

    folder: for the dense states, made here. Raises InputError where the held-out text is too short, or the model's
    family is unknown.
    """

    def __init__(self, model: LanguageModel, recipe: Recipe, folder: Path) -> None:
        windows = calibration.windows_of(assets.text("heldout"), model.tokenizer, WINDOWS, TOKENS, SEED)
        self.windows = windows.to(model.device)
        self.folder, self.source = folder, model.source.folder
        self.turned = any(isinstance(step, SliceGpt) for step in recipe.steps)
        self.not_compared = "; ".join(dict.fromkeys(step.rewrites for step in recipe.steps if step.rewrites))
        self.blocks = [block.module for block in model.anatomy.blocks]
        self.first_rows = {name: weight_of(layer)[0].cpu().clone() for name, layer in model.anatomy.linears()}

    @torch.inference_mode()
    def read_dense(self, model: LanguageModel, report: Report) -> None:
        """Have the dense network's states after every block, and of a stream that will be turned some embeddings."""
        self.folder.mkdir(parents=True, exist_ok=True)
        anatomy = model.anatomy
        if self.turned:
            save_file({"rows": _some_rows(weight_of(anatomy.embedding))}, self.folder / "embedding.safetensors")
        for number in range(len(self.windows)):
            states: dict[str, Tensor] = {}

            def keep(block: int, before: Tensor, after: Tensor, states: dict[str, Tensor] = states) -> None:
                states[str(block)] = after.float().cpu()

            report(number, len(self.windows))
            calibration.walk(anatomy, self.windows[number : number + 1], _silent, on_block=keep)
            save_file(states, self._states(number))
        report(len(self.windows), len(self.windows))

    @torch.inference_mode()
    def measure(self, model: LanguageModel, network: PreTrainedModel, report: Report) -> LayerErrors:
        """Compare `network`, the compressed `model` as quality is measured, with the dense one it was."""
        anatomy, dense_blocks = replace(model.anatomy, network=network), len(self.blocks)
        numbers = {id(module): number for number, module in enumerate(self.blocks)}
        places = [numbers[id(block.module)] for block in model.anatomy.blocks]  # of each block that is left
        back = self._back(anatomy)
        sums, tokens = [0.0] * dense_blocks, self.windows.numel()
        for number in range(len(self.windows)):
            report(number, len(self.windows))
            with safe_open(self._states(number), framework="pt") as dense:
                compare = _Comparison(places, dense_blocks, dense, back, sums)
                calibration.walk(anatomy, self.windows[number : number + 1], _silent, on_block=compare.visit)
        report(len(self.windows), len(self.windows))
        return LayerErrors(
            tokens=tokens,
            blocks=tuple(_finite(total / tokens) for total in sums),
            removed=tuple(place for place in range(dense_blocks) if place not in places),
            turned=self.turned,
            linears=self._linears(anatomy, places),
            not_compared=self.not_compared,
        )

    def _states(self, window: int) -> Path:
        return self.folder / f"states-{window}.safetensors"

    def _back(self, anatomy: Anatomy) -> Tensor | None:
        """What turns a sliced stream back, [kept, width]; None where the stream was not turned."""
        if not self.turned:
            return None
        with safe_open(self.folder / "embedding.safetensors", framework="pt") as file:
            dense: Tensor = file.get_tensor("rows").double()
        ours = _some_rows(weight_of(anatomy.embedding), len(dense)).double()
        turn = torch.linalg.lstsq(dense, ours).solution  # R: [width, kept]
        back: Tensor = torch.linalg.pinv(turn).float()
        return back.to(self.windows.device)  # where the blocks run

    def _linears(self, anatomy: Anatomy, places: Sequence[int]) -> tuple[LinearErrors, ...]:
        """Every linear of a block, with its error and shape at each place of the dense model."""
        names, count = anatomy.layout.linears, len(self.blocks)
        errors: dict[str, list[float | None]] = {name: [None] * count for name in names}
        shapes: dict[str, list[tuple[int, int] | None]] = {name: [None] * count for name in names}
        whole: dict[str, tuple[int, int]] = {}
        with ExitStack() as stack:
            dense = _DenseWeights(self.source, stack)
            for block, place in zip(anatomy.blocks, places, strict=True):
                for name, layer in block.linears.items():
                    ours = weight_of(layer)
                    known = f"{anatomy.layout.blocks}.{place}.{name}"
                    theirs = dense.of(f"{known}.weight", self.first_rows[known])
                    shapes[name][place] = _pair(ours)
                    whole[name] = _pair(theirs if theirs is not None else ours)
                    if not self.not_compared and theirs is not None and theirs.shape == ours.shape:
                        errors[name][place] = _finite(_relative(ours, theirs.to(ours.device)))
        return tuple(LinearErrors(name, whole[name], tuple(errors[name]), tuple(shapes[name])) for name in names)


class _Comparison:
    """Adds up, block by block of the dense model, the error of every token's state in one window."""

    def __init__(self, places: Sequence[int], blocks: int, dense: Any, back: Tensor | None, sums: list[float]) -> None:
        self._ends = [*places[1:], blocks]  # where the block after each stands
        self._places, self._dense, self._back, self._sums = places, dense, back, sums

    def visit(self, block: int, before: Tensor, after: Tensor) -> None:
        """before, after: [tokens, width] at a block that is left; what was removed after it hands `after` on."""
        if block == 0:
            self._compare(range(self._places[0]), before)
        self._compare(range(self._places[block], self._ends[block]), after)

    def _compare(self, places: range, state: Tensor) -> None:
        if not places:
            return
        ours = state.float() if self._back is None else state.float() @ self._back
        for place in places:
            theirs = self._dense.get_tensor(str(place)).to(ours.device)
            errors = (ours - theirs).norm(dim=-1) / theirs.norm(dim=-1)  # [tokens]
            self._sums[place] += float(errors.sum(dtype=torch.float64))


class _DenseWeights:
    """The tensors of a model folder, read one by one."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        files = [stack.enter_context(safe_open(path, framework="pt")) for path in weights.files(folder)]
        self._files: dict[str, Any] = {name: file for file in files for name in file.keys()}  # noqa: SIM118

    def of(self, name: str, first_row: Tensor) -> Tensor | None:
        """The weight of that name in fp32, with that first row; None where the files name it otherwise or fuse it.

        Some families store their weights transposed.
        """
        file = self._files.get(name)
        stored: Tensor | None = None if file is None else file.get_tensor(name).float()
        if stored is None or stored.dim() != 2:
            return None
        return next((weight for weight in (stored, stored.T) if torch.equal(weight[0], first_row)), None)


def _some_rows(table: Tensor, count: int = 0) -> Tensor:
    """`count` rows, or enough to tell how its columns were turned, from all over a table [rows, width]."""
    wanted = min(len(table), count or _ROWS_A_COLUMN * table.shape[1])
    chosen = torch.linspace(0, len(table) - 1, wanted).round().long()
    return table[chosen.to(table.device)].float().cpu().contiguous()


def _pair(weight: Tensor) -> tuple[int, int]:
    rows, columns = weight.shape
    return rows, columns


def _relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def _finite(error: float) -> float | None:
    return error if math.isfinite(error) else None


def _silent(done: int, total: int) -> None:
    pass
