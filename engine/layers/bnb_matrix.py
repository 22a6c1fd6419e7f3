"""Weight matrices as bitsandbytes packs them, which its own kernels multiply and dequantize.

    int8        codes int8, each row against its largest magnitude; a product rounds the activations to 8 bits too, but
                for the columns in which some token has an outlier (LLM.int8(), Dettmers et al. 2022, arXiv:2208.07339)
    nf4, fp4    codes of 4 bits for points of a table, blocks of neighbours in the flattened matrix against their
                largest magnitude, which may be rounded to 8 bits too (QLoRA, Dettmers et al. 2023, arXiv:2305.14314)

The library is imported where a matrix is first made or multiplied: that takes seconds.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

OUTLIER = 6.0  # magnitude of an activation whose column is not rounded, as the paper found it
SCALES_A_BLOCK = 256  # scales that share one scale of theirs, fixed in the library's kernels


class BnbMatrix(nn.Module, ABC):
    """A weight [rows, columns] that bitsandbytes packed; its buffers keep their bits through any change of dtype."""

    format: str
    bits: int
    codes: Tensor
    scales: Tensor

    def __init__(self, shape: tuple[int, int], **buffers: Tensor | None) -> None:
        super().__init__()
        self.rows, self.columns = shape
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor)
        if not self.fits():
            held = {name: tuple(tensor.shape) for name, tensor in self.named_buffers()}
            raise ValueError(f"{held} are no {self.format} matrix of {self.rows} x {self.columns}")

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    @abstractmethod
    def fits(self) -> bool:
        """Whether the buffers have the shapes and types that this matrix needs."""

    @abstractmethod
    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The whole matrix [rows, columns], computed in fp32 and rounded to `dtype`."""

    @abstractmethod
    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x [tokens, columns] times the transposed matrix, plus a bias [rows]: [tokens, rows] in x's dtype."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "BnbMatrix":
        exact = [name for name, tensor in self.named_buffers() if tensor.dtype == torch.float32]
        for name in exact:
            setattr(self, name, self.get_buffer(name).view(torch.int32))
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name in exact:
            setattr(self, name, self.get_buffer(name).view(torch.float32))
        return self


class Int8Matrix(BnbMatrix):
    """LLM.int8(): codes int8 [rows, columns] and scales fp32 [rows], each row's largest magnitude."""

    format, bits = "int8", 8

    def __init__(self, codes: Tensor, scales: Tensor, shape: tuple[int, int]) -> None:
        super().__init__(shape, codes=codes, scales=scales)

    @classmethod
    def from_weight(cls, weight: Tensor) -> "Int8Matrix":
        """Quantize a weight [rows, columns], which the library takes in float16."""
        codes, scales, _ = functions().int8_vectorwise_quant(weight.half())
        return cls(codes, scales, (weight.shape[0], weight.shape[1]))

    def fits(self) -> bool:
        return _are([(self.codes, torch.int8, self.shape), (self.scales, torch.float32, (self.rows,))])

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        weight: Tensor = functions().int8_vectorwise_dequant(self.codes, self.scales)
        return weight.to(dtype)

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        codes, scales, outliers = functions().int8_vectorwise_quant(x.half(), threshold=OUTLIER)
        product = torch.ops.bitsandbytes.int8_mixed_scaled_mm.default
        y: Tensor = product(x, codes, self.codes, scales, self.scales, outliers, bias)[0]
        return y


class FourBitMatrix(BnbMatrix):
    """nf4 or fp4: codes uint8 [bytes], two a byte; scales [blocks], the blocks' largest magnitudes.

    Scales are fp32, or uint8 beside nested_scales fp32 [blocks of scales] and offset fp32 [1], the scales' mean.
    """

    bits = 4
    nested_scales: Tensor | None
    offset: Tensor | None

    def __init__(
        self,
        codes: Tensor,
        scales: Tensor,
        nested: tuple[Tensor, Tensor] | None,
        shape: tuple[int, int],
        format: str,
        block_size: int,
    ) -> None:
        """nested: nested_scales and offset, where the scales are quantized too."""
        self.format, self.block_size = format, block_size
        nested_scales, offset = nested or (None, None)
        super().__init__(shape, codes=codes, scales=scales, nested_scales=nested_scales, offset=offset)

    @classmethod
    def from_weight(cls, weight: Tensor, format: str, block_size: int, double: bool) -> "FourBitMatrix":
        """Quantize a weight fp32 [rows, columns]; double: its scales too."""
        codes, state = functions().quantize_4bit(
            weight.contiguous(), blocksize=block_size, compress_statistics=double, quant_type=format
        )
        nested = (state.state2.absmax, state.offset.reshape(1)) if double else None
        return cls(codes.flatten(), state.absmax, nested, (weight.shape[0], weight.shape[1]), format, block_size)

    @property
    def nested(self) -> bool:
        """Whether the scales are quantized too."""
        return self.nested_scales is not None

    def fits(self) -> bool:
        count = self.rows * self.columns
        blocks = -(-count // self.block_size)
        wanted: list[tuple[Tensor, torch.dtype, tuple[int, ...]]] = [(self.codes, torch.uint8, (-(-count // 2),))]
        wanted.append((self.scales, torch.uint8 if self.nested else torch.float32, (blocks,)))
        if self.nested_scales is not None and self.offset is not None:
            wanted.append((self.nested_scales, torch.float32, (-(-blocks // SCALES_A_BLOCK),)))
            wanted.append((self.offset, torch.float32, (1,)))
        return self.format in ("nf4", "fp4") and _are(wanted)

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        weight: Tensor = functions().dequantize_4bit(self.codes.view(-1, 1), self._state())
        return weight.to(dtype)

    def multiply(self, x: Tensor, bias: Tensor | None) -> Tensor:
        y: Tensor = library().matmul_4bit(x, self.codes.view(-1, 1), self._state(), bias=bias)
        return y

    def _state(self) -> Any:
        """What the library wants to know beside the codes."""
        make, outer = functions().QuantState, None
        if self.nested_scales is not None:
            table = _scale_table(self.codes.device)
            outer = make(self.nested_scales, code=table, blocksize=SCALES_A_BLOCK, dtype=torch.float32)
        return make(
            self.scales,
            shape=torch.Size(self.shape),
            blocksize=self.block_size,
            quant_type=self.format,
            dtype=torch.float32,
            offset=None if self.offset is None else self.offset[0],
            state2=outer,
        )


def quantized(weight: Tensor, format: str, block_size: int = 64, double: bool = False) -> BnbMatrix:
    """A weight fp32 [rows, columns] in one of the formats; block_size and double are of nf4 and fp4 alone."""
    if format == Int8Matrix.format:
        return Int8Matrix.from_weight(weight)
    return FourBitMatrix.from_weight(weight, format, block_size, double)


@cache
def library() -> ModuleType:
    """bitsandbytes; raises ImportError where it is not installed."""
    return import_module("bitsandbytes")


@cache
def functions() -> ModuleType:
    """Its functions on tensors."""
    library()
    return import_module("bitsandbytes.functional")


@cache
def _scale_table(device: torch.device) -> Tensor:
    """The 256 points that scales are rounded to: the same for every matrix, so in no checkpoint."""
    table: Tensor = functions().create_dynamic_map().to(device)
    return table


def _are(wanted: Sequence[tuple[Tensor, torch.dtype, tuple[int, ...]]]) -> bool:
    return all(tensor.dtype == dtype and tuple(tensor.shape) == shape for tensor, dtype, shape in wanted)
