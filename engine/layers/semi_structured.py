"""Linears of 2:4 zeros on the sparse tensor cores of an NVIDIA GPU, through torch's semi-structured kernels.

Such a matrix is held as the two numbers of every four that may be left, and two bits for the place of each: nine
sixteenths of its bytes, and half the multiplications. torch reaches two libraries: cuSPARSELt, where it was built with
it, and CUTLASS, whose kernels it has for the first generation only. What each asks of a matrix stands in torch's
`torch.sparse.semi_structured`, which generations run it in torch's own tests of that.

No GPU has run this for us yet. So a library is tried on a small product before it is used, and every refusal says why.
"""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.sparse import (
    SparseSemiStructuredTensor,
    SparseSemiStructuredTensorCUSPARSELT,
    SparseSemiStructuredTensorCUTLASS,
)

FIRST = (8, 0)  # compute capability: Ampere, the first generation with sparse tensor cores
DTYPES = (torch.float16, torch.bfloat16)
_TOLERANCE = 0.02  # of a product in 16 bits


class Library(NamedTuple):
    """What holds and multiplies such matrices; rows and columns are what a matrix's are multiples of in 16 bits."""

    name: str
    tensor: type[SparseSemiStructuredTensor]
    rows: int
    columns: int


CUSPARSELT = Library("cuSPARSELt", SparseSemiStructuredTensorCUSPARSELT, 16, 16)
CUTLASS = Library("CUTLASS", SparseSemiStructuredTensorCUTLASS, 32, 64)


class Choice(NamedTuple):
    """The library that a device offers, or why it offers none."""

    library: Library | None
    why_not: str = ""


class SkippedZeros(NamedTuple):
    """What leaves the zeros of a running model's linears out, by name; empty where nothing does, with the reason."""

    kernel: str = ""
    why_not: str = ""


class SemiStructuredLinear(nn.Module):
    """y = x W^T + b with W [rows, columns] held without its 2:4 zeros; x is [..., columns], y is [..., rows].

    W is where the library runs, in 16 bits and in the order of `nn.Linear`; x has its dtype.
    """

    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, library: Library) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.matrix = _compressed(weight, library)
        self.register_buffer("packed", self.matrix.packed)  # where its bytes are counted
        self.register_buffer("places", self.matrix.meta)  # none where the library has them in `packed`
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(x.reshape(-1, self.in_features), self.matrix, self.bias)
        return y.view(*x.shape[:-1], self.out_features)


def choose(device: torch.device) -> Choice:
    """The library that runs on a device."""
    if device.type != "cuda" or torch.version.cuda is None:
        return Choice(None, "2:4 zeros are left out on NVIDIA GPUs only")
    capability = torch.cuda.get_device_capability(device)
    here = ".".join(map(str, capability))
    if capability < FIRST:
        return Choice(None, f"sparse tensor cores come with compute capability 8.0, and this GPU has {here}")
    if torch.backends.cusparselt.is_available():
        return _tried(CUSPARSELT, device)
    if capability[0] == FIRST[0]:
        return _tried(CUTLASS, device)
    return Choice(None, f"this torch has no cuSPARSELt, and CUTLASS's kernels are not for compute capability {here}")


def why_not(weight: Tensor, library: Library) -> str:
    """Why a library can't run a linear's weight [rows, columns]; empty where it can."""
    if weight.dtype not in DTYPES:
        return f"the kernels take 16-bit numbers, and these are {str(weight.dtype).removeprefix('torch.')}"
    rows, columns = weight.shape
    if rows % library.rows or columns % library.columns:
        tiles = f"multiples of {library.rows} x {library.columns}"
        return f"{library.name} takes matrices whose sides are {tiles}, and this one is {rows} x {columns}"
    if int((weight.reshape(rows, -1, 4) != 0).sum(-1).max()) > 2:
        return "it has more than two numbers in some four neighbours"
    return ""


def _tried(library: Library, device: torch.device) -> Choice:
    """The library, unless it fails or errs on a small product."""
    weight = torch.tensor([0.0, 1.0, 0.0, 2.0, 3.0, 0.0, -1.0, 0.0], dtype=torch.bfloat16, device=device).tile(64, 16)
    x = (torch.arange(3 * 128, device=device) % 7 - 3).to(torch.bfloat16).view(3, 128)
    try:
        y = SemiStructuredLinear(weight, None, library)(x)
    except RuntimeError as error:
        return Choice(None, f"{library.name} fails on this GPU: {' '.join(str(error).split())[:160]}")
    expected = functional.linear(x, weight)
    if not torch.allclose(y, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
        return Choice(None, f"{library.name} gives another product on this GPU than torch's own")
    return Choice(library)


def _compressed(weight: Tensor, library: Library) -> SparseSemiStructuredTensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*prototype stage")  # known: the version of torch is pinned
        return library.tensor.from_dense(weight.detach().contiguous())
