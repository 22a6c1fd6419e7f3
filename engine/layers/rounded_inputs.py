"""A linear layer on packed weights that rounds its inputs to 8 bits too."""

from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from engine.layers.formats import KERNEL_ROWS
from engine.layers.packed_linear import PackedLinear, kernels

_TOP = 127  # steps on either side of zero


@cache
def multiplies_int8() -> bool:
    """Whether this machine's processor has units that multiply whole numbers of 8 bits; known of x86 processors only.

    Without them torch's product of such numbers was measured 30 times slower than that of fp32, and pairs of large
    ones come out cut off; with AVX512-VNNI it was twice as fast as that of bf16. Whether torch uses the units is tried.
    """
    able = torch.cpu.get_capabilities()
    largest = torch.full((KERNEL_ROWS + 1, 64), _TOP, dtype=torch.int8)
    units = bool(able.get("avx512_vnni") or able.get("amx_int8"))
    return units and bool((torch._int_mm(largest, largest.t()) == 64 * _TOP**2).all())


class RoundedInputs(PackedLinear):
    """y = s (W q) + b with q = round(x / s) and s = max |x| / 127 of every token; x is [..., columns].

    Many tokens at once are multiplied as whole numbers where the processor has units for that and a row of W one scale,
    without a zero point; all else goes through the packed layer's own kernels, which add up in fp32.
    """

    rounds_inputs: ClassVar[bool] = True

    @property
    def expands_to(self) -> str:
        return "int8" if self._whole() else super().expands_to

    def product(self, x: Tensor) -> Tensor:
        if self.goes_packed(x):
            y: Tensor = kernels().matvec(self.matrix, x, round_inputs=True)
            return y
        steps, scales = rounded(x)
        return (self.product_of_many(steps) * scales).to(x.dtype)

    def product_of_many(self, x: Tensor) -> Tensor:
        return self._whole_product(x) if x.is_cpu and self._whole() else super().product_of_many(x)

    def _whole(self) -> bool:
        matrix = self.matrix
        return matrix.bits == 8 and matrix.groups == 1 and matrix.symmetric and multiplies_int8()

    def _whole_product(self, steps: Tensor) -> Tensor:
        """steps [..., columns], whole numbers of 8 bits, times the transposed matrix: fp32 [..., rows]."""
        codes = self.matrix.codes.view(torch.int8) ^ -128  # a code stands 128 above its number of steps
        inputs = steps.reshape(-1, self.in_features).to(torch.int8)
        sums = torch._int_mm(inputs, codes.t()).view(*steps.shape[:-1], self.out_features)
        return sums * self.matrix.scales.float().squeeze(-1)


def rounded(x: Tensor) -> tuple[Tensor, Tensor]:
    """Every token of x [..., columns] as whole numbers from -127 to 127, in x's dtype, and its scale fp32 [..., 1]."""
    scales = x.abs().amax(-1, keepdim=True).float() / _TOP
    scales = torch.where(scales == 0, 1.0, scales)  # where there is nothing, or next to nothing
    return (x / scales).round().to(x.dtype), scales
