"""A linear layer that runs on a packed matrix."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.layers import formats
from engine.layers.formats import KERNEL_ROWS
from engine.layers.packed_matrix import PackedMatrix


def has_kernel(matrix: PackedMatrix) -> bool:
    """Whether a matrix multiplies in its packed form; other widths run on a dequantized copy, which is simulation."""
    return formats.has_kernel(matrix.bits, matrix.group_size)


@cache
def multiplies_bf16() -> bool:
    """Whether this machine's processor has units that multiply matrices of bf16; known of x86 processors only."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


class PackedLinear(nn.Module):
    """y = x W^T + b with W packed; x is [..., columns], y is [..., rows] in x's dtype.

    On the CPU a few tokens go through the kernel, which reads the packed weights and adds up in fp32. More of them
    (prefill), or another width: W is dequantized a block of rows at a time, multiplied and dropped. That product runs
    in x's dtype, but in fp32 on a CPU without units for bf16, where it is several times faster (on CUDA: less memory,
    but no kernel of ours; untested there).
    """

    rounds_inputs: ClassVar[bool] = False  # whether quality depends on the kernels' own numerics
    bias: Tensor | None

    def __init__(self, matrix: PackedMatrix, bias: Tensor | None = None) -> None:
        super().__init__()
        self.matrix = matrix
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.out_features, self.in_features = matrix.shape
        self.has_kernel = has_kernel(matrix)

    @property
    def expands_to(self) -> str:
        """The number format in which many bf16 tokens are multiplied on this machine's processor."""
        return "bfloat16" if multiplies_bf16() else "float32"

    def forward(self, x: Tensor) -> Tensor:
        y = self.product(x)
        return y if self.bias is None else y + self.bias

    def product(self, x: Tensor) -> Tensor:
        """x [..., columns] times the transposed matrix: [..., rows] in x's dtype."""
        if self.goes_packed(x):
            y: Tensor = kernels().matvec(self.matrix, x)
            return y
        return self.product_of_many(x)

    def goes_packed(self, x: Tensor) -> bool:
        """Whether a kernel multiplies x as few tokens."""
        return self.has_kernel and x.is_cpu and x.numel() <= KERNEL_ROWS * self.in_features

    def product_of_many(self, x: Tensor) -> Tensor:
        """The product of more tokens than the kernel is for."""
        kernel = self.has_kernel and x.is_cpu
        inputs = x.float() if x.is_cpu and not (x.dtype == torch.bfloat16 and multiplies_bf16()) else x
        blocks = kernels().blocks(self.matrix, inputs.dtype) if kernel else self.matrix.blocks()
        return self._by_blocks(inputs, blocks).to(x.dtype)

    def _by_blocks(self, inputs: Tensor, blocks: Iterator[tuple[slice, Tensor]]) -> Tensor:
        y = torch.empty((*inputs.shape[:-1], self.out_features), dtype=inputs.dtype, device=inputs.device)
        for rows, block in blocks:
            part = functional.linear(inputs, block.to(inputs.dtype))
            if part.shape == y.shape:
                return part
            y[..., rows] = part
        return y

    def extra_repr(self) -> str:
        matrix = self.matrix
        return f"{self.in_features}, {self.out_features}, bits={matrix.bits}, group_size={matrix.group_size}"


@cache
def kernels() -> ModuleType:
    """The kernels, imported where one first runs: that compiles or loads machine code."""
    return import_module("engine.layers.kernels")
