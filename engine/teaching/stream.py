"""What the pictures show of activations: a cloud, the spectrum, how much heads and blocks do."""

import math

import torch
from torch import Tensor, nn

from engine.calibration import walk
from engine.layers.weight import weight_of
from engine.methods import Report
from engine.methods.layers import block_influence
from engine.models import LanguageModel
from engine.network.anatomy import Anatomy, epsilon_of
from engine.teaching.pack import Cloud, Scores, Spectrum, numbers

POINTS = 300  # in the cloud, evenly spaced over the tokens


def cloud(anatomy: Anatomy, windows: Tensor, report: Report) -> Cloud:
    """Normalised activations at a norm a quarter of the way down, along the two coordinates that go together most.

    Their mean is taken off. A window's first token is left out: many models park huge activations on it.
    """
    block = anatomy.blocks[len(anatomy.blocks) // 4]
    wanted, kept = block.input_norm, []

    def visit(norm: nn.Module, x: Tensor) -> None:
        if norm is wanted:
            kept.append(x[1:] * torch.rsqrt(x[1:].pow(2).mean(-1, keepdim=True) + epsilon_of(norm)))

    walk(anatomy, windows, lambda done, total: report("gather the activations", done, total), on_norm=visit)
    x = torch.cat(kept).double()
    x = x - x.mean(0)  # [tokens, d]
    pair = most_related(x)
    points = x[:, list(pair)]
    shown = points[torch.linspace(0, len(points) - 1, min(POINTS, len(points))).round().long()].T.tolist()
    name = f"{block.name}.{block.layout.input_norm}"
    return Cloud(name, pair, numbers(shown[0]), numbers(shown[1]), round(principal_angle(points), 4))


def most_related(x: Tensor) -> tuple[int, int]:
    """The two columns of [tokens, d], each of mean zero, with the largest correlation of either sign."""
    moments = x.T @ x
    scale = moments.diagonal().clamp(min=1e-30).rsqrt()
    correlation = (moments * scale * scale.unsqueeze(1)).abs().fill_diagonal_(0)
    place = int(correlation.argmax())
    first, second = sorted((place // len(correlation), place % len(correlation)))
    return first, second


def principal_angle(points: Tensor) -> float:
    """The angle, in radians, of the line through zero that [tokens, 2] lie closest to."""
    (xx, xy), (_, yy) = (points.T @ points).tolist()
    return 0.5 * math.atan2(2 * xy, xx - yy)


def spectrum(covariance: Tensor, norms: int) -> Spectrum:
    """The shares of a second moment [d, d] along its own axes and along the coordinates."""
    total = covariance.trace()
    turned = torch.linalg.eigvalsh(covariance).flip(0).clamp(min=0) / total
    plain = covariance.diagonal().sort(descending=True).values / total
    return Spectrum(f"the inputs of all {norms} norms, normalised", _shares(turned), _shares(plain))


def scores(model: LanguageModel, norms: dict[str, Tensor], windows: Tensor, report: Report) -> Scores:
    """norms: of the inputs of every block's output linear of attention, by its full name."""
    anatomy = model.anatomy
    heads = model.network.config.num_attention_heads
    plain, activated = [], []
    for block in anatomy.blocks:
        name = block.layout.attention_out
        weight = weight_of(block.linears[name])
        plain.append(_by_head(weight, heads))
        activated.append(_by_head(weight * norms[f"{block.name}.{name}"], heads))
    layers = tuple(_short(value) for value in block_influence(model, windows, report))
    return Scores(tuple(plain), tuple(activated), layers)


def _by_head(weight: Tensor, heads: int) -> tuple[float, ...]:
    """The norm of each head's columns of [outputs, heads * head_dim]."""
    return tuple(_short(value) for value in weight.view(len(weight), heads, -1).norm(dim=(0, 2)).tolist())


def _shares(values: Tensor) -> tuple[float, ...]:
    return tuple(_short(value) for value in values.tolist())


def _short(value: float) -> float:
    """Four digits that mean something: the last ones depend on the machine."""
    return float(f"{value:.4g}")
