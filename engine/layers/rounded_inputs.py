"""A linear layer on packed weights that rounds its inputs to 8 bits too."""

from typing import ClassVar

import torch
from torch import Tensor

from engine.layers.packed_linear import PackedLinear

_TOP = 127  # steps on either side of zero


class RoundedInputs(PackedLinear):
    """y = s (W q) + b with q = round(x / s) and s = max |x| / 127 of every token; x is [..., columns].

    The whole numbers are multiplied by the packed layer's own kernels, which add up in fp32: a CPU product of theirs in
    integers (`torch._int_mm`) was measured 30 times slower where the CPU has no units for it.
    """

    rounds_inputs: ClassVar[bool] = True

    def forward(self, x: Tensor) -> Tensor:
        steps, scales = rounded(x)
        y = (self.product(steps) * scales).to(x.dtype)
        return y if self.bias is None else y + self.bias


def rounded(x: Tensor) -> tuple[Tensor, Tensor]:
    """Every token of x [..., columns] as whole numbers from -127 to 127, in x's dtype, and its scale fp32 [..., 1]."""
    largest = x.abs().amax(-1, keepdim=True).float()
    scales = torch.where(largest == 0, 1.0, largest / _TOP)
    return (x / scales).round().to(x.dtype), scales
