"""The Hessian of a linear's squared error, H = X^T X over calibration tokens, and settling weights column by column.

GPTQ and SparseGPT give the columns of a weight their final values in order, and make up for the error of each in the
columns that are left. All they need of H for that is the upper triangular U with H^-1 = U^T U.
Source: Frantar et al. 2022, arXiv:2210.17323, section 3.3; Frantar and Alistarh 2023, arXiv:2301.00774, section 3.
"""

from collections.abc import Callable

import torch
from torch import Tensor

_BLOCKS = 4  # of columns: the lower triangle is the upper's mirror, so that 10 of 16 products are enough
_COLUMNS_AT_ONCE = 32  # settled before their errors are taken to all later columns in one product


def add_products(total: Tensor | None, x: Tensor) -> Tensor:
    """X^T X so far, fp32 [inputs, inputs], with that of x [tokens, inputs] added; only its upper triangle is whole."""
    columns = x.shape[1]
    if total is None:
        total = torch.zeros(columns, columns, device=x.device)
    step = -(-columns // _BLOCKS)
    for start in range(0, columns, step):
        total[start : start + step, start:].addmm_(x[:, start : start + step].T, x[:, start:])
    return total


def mirrored(upper: Tensor) -> Tensor:
    """The symmetric matrix [n, n] of which the upper triangle is given."""
    return upper.triu() + upper.triu(1).T


def unused(hessian: Tensor) -> Tensor:
    """Mask [inputs] of the inputs that were zero at every token."""
    return hessian.diagonal() == 0


def inverse_factor(hessian: Tensor, damping: float) -> Tensor:
    """The upper triangular U, fp32 [n, n], with (H + d I)^-1 = U^T U, where d is `damping` times H's mean diagonal.

    H is symmetric, fp32 [n, n]. An unused input gets 1 on the diagonal, so that it stands for itself alone. With H's
    rows and columns reversed, U is the reversed inverse of its lower Cholesky factor, which is computed in fp64.
    """
    damped = hessian.double()
    damped.diagonal()[unused(hessian)] = 1.0
    damped.diagonal().add_(damping * hessian.diagonal().double().mean())
    lower = torch.linalg.cholesky(damped.flip(0, 1)).float()
    inverse = torch.eye(len(lower), device=lower.device)
    step = -(-len(lower) // _BLOCKS)
    for start in range(0, len(lower), step):
        below = inverse[start:, start : start + step]  # above it the inverse is zero, too
        below.copy_(torch.linalg.solve_triangular(lower[start:, start:], below, upper=False))
    return inverse.flip(0, 1)


def settle_columns(
    left: Tensor,
    factor: Tensor,
    unit: int,
    reach: Callable[[int], None],
    settle: Callable[[int, Tensor, Tensor], None],
) -> None:
    """Give every column of a weight its final values, in order, making up for its error in all columns after it.

    left: the weight transposed, fp32 [columns, rows], changed in place; rows do not touch each other. factor: U
    [columns, columns] of `inverse_factor`. reach(j): called before every `unit` of columns, which then hold what
    earlier columns left in them. settle(j, w, error): decides on column j, whose values [rows] have become w, and
    writes w less its final values to `error` e; each later column k then loses e U[j, k] / U[j, j].
    """
    columns, rows = left.shape
    losing = (factor / factor.diagonal().unsqueeze(1)).T.contiguous()  # [columns that lose, columns that err]
    errors = torch.empty(_COLUMNS_AT_ONCE, rows, device=left.device)
    values, error = left.unbind(), errors.unbind()
    for begin in range(0, columns, unit):
        reach(begin)
        end = min(begin + unit, columns)
        for start in range(begin, end, _COLUMNS_AT_ONCE):
            stop = min(start + _COLUMNS_AT_ONCE, end)
            for j in range(start, stop):
                w = values[j].addmv_(errors[: j - start].T, losing[j, start:j], alpha=-1)
                settle(j, w, error[j - start])
            left[stop:].addmm_(losing[stop:, start:stop], errors[: stop - start], alpha=-1)
