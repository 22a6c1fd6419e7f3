"""A linear layer that bitsandbytes runs on a matrix that it packed."""

from torch import Tensor, nn

from engine.layers.bnb_matrix import BnbMatrix, Int8Matrix


class BnbLinear(nn.Module):
    """y = x W^T + b with W packed; x is [..., columns], y is [..., rows] in x's dtype.

    The product is the library's, whatever the device has of it. On a CPU it expands the whole matrix for every call:
    memory falls, speed does not.
    """

    bias: Tensor | None

    def __init__(self, matrix: BnbMatrix, bias: Tensor | None = None) -> None:
        super().__init__()
        self.matrix = matrix
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.out_features, self.in_features = matrix.shape

    @property
    def rounds_inputs(self) -> bool:
        """Whether quality depends on the library's own numerics."""
        return isinstance(self.matrix, Int8Matrix)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return self.matrix.multiply(x.reshape(-1, self.in_features), bias).view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, format={self.matrix.format}"
