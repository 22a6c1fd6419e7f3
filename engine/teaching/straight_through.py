"""Quantization-aware training of one real matrix, really run: rounding in every step, with the gradient let through.

A linear's weight Q is trained so that its outputs on the calibration text stay close to those of the original W. Points
of the grid are used in every step; what is trained is a real weight behind each of them, to which the gradient of its
point is passed as it is (Bengio et al. 2013, arXiv:1308.3432). The error of N tokens X [N, inputs],

    |X (Q - W)^T|^2 = trace((Q - W) X^T X (Q - W)^T),

needs them only as X^T X, so that every step learns from all tokens at once, in one small product. A pull towards the
points, which grows, keeps weights from flipping between two of them for ever (Nagel et al. 2022, arXiv:2203.11086).
"""

import torch
from torch import Tensor, nn

from engine.blocks.hessian import add_products, mirrored
from engine.calibration import walk
from engine.layers.grid import rounded, symmetric_steps
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.weight import inputs_of, weight_of
from engine.methods import Report, gptq
from engine.network.anatomy import Anatomy
from engine.spec.quantize import PER_CHANNEL, Gptq, Rtn
from engine.teaching.pack import EVERY, SIDE, STEPS, Trained, Training, numbers

WIDTHS = (2, 3, 4)  # bits
WATCHED = 6  # weights of one group whose way is kept
RATE = 0.005  # of a step of the grid, on average
PULL = 1.0  # at the last step, of the weights' distance from their points in what is minimised; it grows from zero
DECAYS = (0.0, 0.99)  # Adam's; with momentum, weights overshoot the middle between two points and the error grows


def training(anatomy: Anatomy, windows: Tensor, heldout: Tensor, report: Report) -> Training:
    """Train the first rows of the middle block's first linear into the MLP through the rounding, at each width.

    windows: calibration tokens [windows, tokens], which it learns from; heldout: others, on which it is tried. The
    model is left as it came. Same model and tokens, same result.
    """
    block = anatomy.blocks[len(anatomy.blocks) // 2]
    name = block.layout.mlp_in[0]
    layer = block.linears[name]
    weight = weight_of(layer)[:SIDE].cpu()
    group_size = SIDE if weight.shape[1] % SIDE == 0 else PER_CHANNEL
    learnt, tried = (_products(anatomy, layer, tokens, report) for tokens in (windows, heldout))
    trained = []
    for done, bits in enumerate(WIDTHS):
        report("train through the rounding", done, len(WIDTHS))
        trained.append(train(weight, learnt, tried, bits, group_size))
    report("train through the rounding", len(WIDTHS), len(WIDTHS))
    return Training(f"{block.name}.{name}", len(weight), weight.shape[1], group_size, tuple(trained))


def train(weight: Tensor, learnt: Tensor, tried: Tensor, bits: int, group_size: int) -> Trained:
    """Train a weight fp32 [rows, inputs] on the grids that rounding to nearest lays over it, which stay as they are.

    learnt, tried: X^T X [inputs, inputs] of the tokens to learn from and of held-out ones.
    """
    scales = rounded(weight, Rtn(bits, group_size)).scales
    rate = RATE * float(scales.float().abs().mean())
    frames = real_weights(weight, learnt, scales, bits, rate)
    used = [nearest(frame, scales, bits) for frame in frames]
    row, columns = _watched(frames, used[0] != used[-1], scales)
    codes = gptq.quantize(weight, learnt, Gptq(bits, group_size))
    columnwise = PackedMatrix.from_codes(*codes, bits=bits).dequantize()
    return Trained(
        bits=bits,
        learning_rate=float(f"{rate:.2g}"),
        row=row,
        columns=tuple(columns),
        scale=float(scales[row, columns[0] * scales.shape[1] // weight.shape[1]]),
        paths=numbers(frames[:, row, columns].T.flatten().tolist()),
        learnt=numbers(relative_error(one, weight, learnt) for one in used),
        heldout=numbers(relative_error(one, weight, tried) for one in used),
        gptq=float(f"{relative_error(columnwise, weight, tried):.4g}"),
        moved=float(f"{float((used[0] != used[-1]).float().mean()):.3g}"),
    )


def real_weights(weight: Tensor, learnt: Tensor, scales: Tensor, bits: int, rate: float) -> Tensor:
    """The real weights behind the points, before the first step and after each that is kept: [frames, rows, inputs].

    scales: of the grids, float16 [rows, groups]; rate: the learning rate of the first step.
    """
    latent = weight.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([latent], lr=rate, betas=DECAYS)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 - step / STEPS) ** 3)
    kept = [weight]
    with torch.enable_grad():
        for step in range(1, STEPS + 1):
            optimizer.zero_grad()
            points = straight_through(latent, nearest(latent.detach(), scales, bits))
            loss = squared_error(points, weight, learnt) + PULL * step / STEPS * distance(latent, points, weight)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            falling.step()
            if step % EVERY == 0:
                kept.append(latent.detach().clone())
    return torch.stack(kept)


def straight_through(weight: Tensor, points: Tensor) -> Tensor:
    """The points that a weight is rounded to, whose gradient goes to the weight as if nothing had been rounded."""
    return points + (weight - weight.detach())


def nearest(weight: Tensor, scales: Tensor, bits: int) -> Tensor:
    """The nearest points of symmetric grids, scales float16 [rows, groups], to a weight fp32 [rows, inputs]."""
    groups = weight.view(*scales.shape, -1)
    return (symmetric_steps(groups, scales, bits) * scales.float().unsqueeze(-1)).view_as(weight)


def squared_error(points: Tensor, weight: Tensor, products: Tensor) -> Tensor:
    """|X (Q - W)^T|^2 / |X W^T|^2 of points Q and the weight W [rows, inputs], from X^T X [inputs, inputs]."""
    off = points - weight
    return (off @ products * off).sum() / (weight @ products * weight).sum()


def distance(latent: Tensor, points: Tensor, weight: Tensor) -> Tensor:
    """The squared distance of real weights from their points, as a share of the original's square; points stay put."""
    return (latent - points.detach()).square().sum() / weight.square().sum()


def relative_error(points: Tensor, weight: Tensor, products: Tensor) -> float:
    """The error of the outputs as a share of their size: the root of `squared_error`."""
    return float(squared_error(points, weight, products).sqrt())


def _watched(frames: Tensor, moved: Tensor, scales: Tensor) -> tuple[int, list[int]]:
    """(row, columns) of the group in which most weights end on another point, and of these the farthest travelled.

    frames: the real weights [frames, rows, inputs]; moved: mask [rows, inputs]; scales: [rows, groups].
    """
    rows, groups = scales.shape
    size = frames.shape[2] // groups
    place = int(moved.view(rows, groups, size).sum(-1).argmax())
    row, start = place // groups, place % groups * size
    group = slice(start, start + size)
    far = (frames[-1] - frames[0])[row, group].abs() * moved[row, group]
    return row, sorted(start + column for column in far.topk(min(WATCHED, size)).indices.tolist())


def _products(anatomy: Anatomy, layer: nn.Module, windows: Tensor, report: Report) -> Tensor:
    """X^T X, fp32 [inputs, inputs], of what a linear reads over windows [windows, tokens]."""
    width = inputs_of(layer)
    total = torch.zeros(width, width, device=anatomy.device)

    def add(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        add_products(total, args[0].flatten(0, -2))

    hook = layer.register_forward_pre_hook(add)
    try:
        walk(anatomy, windows, lambda done, of: report("gather a layer's inputs", done, of))
    finally:
        hook.remove()
    return mirrored(total).cpu()
