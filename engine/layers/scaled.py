"""A factor for every channel of a tensor, moved from what reads the tensor to what gives it."""

from torch import Tensor, nn

from engine.layers.packed_linear import PackedLinear
from engine.layers.weight import bias_of


class DividedInputs(nn.Module):
    """y = layer(x / factors): a linear whose weights hold `factors` [inputs] too much, as long as its inputs don't."""

    factors: Tensor

    def __init__(self, layer: nn.Module, factors: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("factors", factors)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x / self.factors)
        return y


def divide_outputs(layer: nn.Module, factors: Tensor, offset: float = 0.0) -> None:
    """Divide what a norm or a linear, plain or packed, gives by `factors` [outputs], in place.

    offset: by how much more than its weight a norm multiplies.
    """
    if isinstance(layer, PackedLinear):
        layer.matrix = layer.matrix.divided(factors)
    else:
        weight = layer.get_parameter("weight")
        weight.data = (weight.data + offset) / factors.view(-1, *[1] * (weight.dim() - 1)) - offset
    if (bias := bias_of(layer)) is not None:
        bias.div_(factors)
