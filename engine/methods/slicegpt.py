"""SliceGPT with one rotation for the whole model: no shortcuts to store, and the head stays tied to the embedding.

RMSNorm without its gain commutes with rotations, so the residual stream may be turned onto its principal axes, folding
the turn Q into every matrix that writes to the stream or reads from it. Then the least axes are deleted. One Q for all
blocks, from the inputs of all norms together, needs no matrices between blocks and keeps one embedding:

    embedding E           -> E Q / c                   c = sqrt(d / k) for a width sliced from d to k
    writers W, biases b   -> Q^T W / c, Q^T b / c
    readers W             -> W diag(gain) Q c          the norm's gain becomes 1
    tied head E           -> E Q / c after the small matrix  Q^T diag(gain) Q c^2
    untied head H         -> H diag(gain) Q c

The factor c makes a norm over the k kept axes divide by the original width: |h / c|^2 / k is |h|^2 / d. It leaves eps
and every gain as any standard configuration has them.
"""

import math

import torch
from torch import Tensor, nn

from engine.calibration import walk
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear
from engine.layers.sliced_head import SlicedHead
from engine.layers.weight import PackedLayer, bias_of, plain_embedding, plain_linear, scale_of, unpacked, weight_of
from engine.methods import Report
from engine.models import LanguageModel
from engine.network.anatomy import Anatomy, Block, epsilon_of
from engine.network.streaming import on_device
from engine.spec.fit import refuse_width
from engine.spec.slicing import SliceGpt

_ROWS_AT_ONCE = 4096  # of an embedding in fp64


def compress(model: LanguageModel, settings: SliceGpt, windows: Tensor | None, report: Report) -> None:
    """Rotate the residual stream onto its principal axes, keep the first, and fold all of it into the weights.

    windows: calibration tokens [windows, tokens]. Changes `model` in place; packed matrices that the rotation touches
    leave their grid and become plain (a note says so). With head=untied a head shared with the embedding becomes a
    matrix of its own; a head that is separate already stays so.
    Raises InputError where the fraction leaves no width. With fraction 0 the logits stay the same up to rounding.
    Source: Ashkboos et al. 2024, arXiv:2401.15024, with one rotation in place of one a norm.
    """
    anatomy = model.anatomy
    hidden = model.network.config.hidden_size
    refuse_width(settings, hidden)
    if windows is None:
        raise ValueError("slice:slicegpt needs calibration windows")
    rotation = principal_axes(pooled_covariance(anatomy, windows, report))[:, : settings.width(hidden)]
    _unpack(model)
    if model.masked_zeros:
        model.masked_zeros = False
        model.notes.append("This step turns the zeros that an earlier step had set into other numbers.")
    report("rotate and slice", 0, 1)
    slice_by(anatomy, rotation, untie=settings.head == "untied")
    config = model.network.config
    config.head_dim = anatomy.blocks[0].head_dim
    config.hidden_size = rotation.shape[1]
    report("rotate and slice", 1, 1)


def pooled_covariance(anatomy: Anatomy, windows: Tensor, report: Report) -> Tensor:
    """Uncentred second moment [d, d] in fp64 of the normalised inputs of every norm, summed over norms and tokens.

    Normalised, every norm counts alike, and so does every token: raw inputs grow with depth, and a few would rule. The
    products of one window are summed in fp32, windows and norms in fp64.
    """
    width = anatomy.final_norm.get_parameter("weight").shape[0]
    total = torch.zeros(width, width, dtype=torch.float64)

    def visit(norm: nn.Module, x: Tensor) -> None:
        normalised = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon_of(norm))  # [tokens, d]
        total.add_((normalised.T @ normalised).cpu())

    walk(anatomy, windows, lambda done, all: report("find the principal directions", done, all), on_norm=visit)
    return total


def principal_axes(covariance: Tensor) -> Tensor:
    """Eigenvectors of a symmetric [d, d] in columns, the largest first, each with its largest entry positive.

    The sign makes the result independent of the linear algebra library's own choice.
    """
    vectors = torch.linalg.eigh(covariance).eigenvectors.flip(1)
    largest = vectors.abs().argmax(0, keepdim=True)
    axes: Tensor = vectors * vectors.gather(0, largest).sign()
    return axes


def slice_by(anatomy: Anatomy, rotation: Tensor, untie: bool) -> None:
    """Fold a rotation [d, k] with orthonormal columns into every weight that touches the residual stream.

    Products are computed in fp64 and stored in fp32. `untie` gives a tied head a matrix of its own.
    """
    original, kept = rotation.shape
    stretch = math.sqrt(original / kept)
    _slice_tables(anatomy, rotation.to(anatomy.network.device, torch.float64), stretch, untie)
    rotation = rotation.to(anatomy.device, torch.float64)
    for block in anatomy.blocks:
        with on_device(block.module, anatomy.device):
            _slice_block(anatomy, block, rotation, stretch)


def _slice_block(anatomy: Anatomy, block: Block, rotation: Tensor, stretch: float) -> None:
    """The linears of a block and its norms."""
    for norm, readers in block.readers:
        into = _gain(anatomy, norm).unsqueeze(1) * rotation * stretch  # diag(gain) Q c: [d, k]
        for name, layer in readers.items():
            block.replace(name, plain_linear(_product(weight_of(layer), into), bias_of(layer)))
        _reset(anatomy, norm, rotation.shape[1])
    for name, layer in block.writers.items():
        weight = (rotation.T @ weight_of(layer).double() / stretch).float()
        bias = bias_of(layer)
        turned = None if bias is None else (rotation.T @ bias.double() / stretch).float()
        block.replace(name, plain_linear(weight, turned))


def _slice_tables(anatomy: Anatomy, rotation: Tensor, stretch: float, untie: bool) -> None:
    """The embedding, the final norm and the head."""
    tied, table, projection = anatomy.tied, weight_of(anatomy.embedding), anatomy.projection
    into_head = _gain(anatomy, anatomy.final_norm).unsqueeze(1) * rotation * stretch
    scale = scale_of(anatomy.embedding)
    sliced_scale = 1.0 if scale == 1 else scale / stretch  # Gemma's is the root of the width
    shrink = scale / sliced_scale / stretch
    if isinstance(anatomy.output, SlicedHead):
        into_head = anatomy.output.mixing.double() @ into_head
    sliced = plain_embedding(_product(table, rotation * shrink), sliced_scale)
    anatomy.set_embedding(sliced)
    if tied and not untie:
        mixing = (rotation.T @ into_head / shrink).float()
        anatomy.set_output(SlicedHead(mixing, plain_linear(sliced.weight.data, bias_of(projection))))
        anatomy.projection.weight = sliced.weight
    else:
        anatomy.set_output(plain_linear(_product(weight_of(projection), into_head), bias_of(projection)))
        anatomy.network.config.tie_word_embeddings = False
    _reset(anatomy, anatomy.final_norm, rotation.shape[1])


def _product(weight: Tensor, into: Tensor) -> Tensor:
    """weight [rows, d] x into [d, k] in fp64, a block of rows at a time, as fp32 [rows, k]."""
    return torch.cat([(rows.double() @ into).float() for rows in torch.split(weight, _ROWS_AT_ONCE)])


def _gain(anatomy: Anatomy, norm: nn.Module) -> Tensor:
    """What a norm multiplies by, fp64 [d]."""
    return norm.get_parameter("weight").double() + anatomy.layout.gain_offset


def _reset(anatomy: Anatomy, norm: nn.Module, width: int) -> None:
    """Make a norm's gain 1 over the sliced width; the gain has been folded into what reads from it."""
    weight = torch.full((width,), 1 - anatomy.layout.gain_offset, device=norm.get_parameter("weight").device)
    norm.weight = nn.Parameter(weight, requires_grad=False)


def _unpack(model: LanguageModel) -> None:
    """Make packed layers plain: every one of them touches the stream, and a rotation leaves the grid."""
    anatomy, count = model.anatomy, 0
    tied = anatomy.tied
    for name, layer in list(anatomy.linears()):
        if isinstance(layer, PackedLayer):
            anatomy.replace(name, unpacked(layer))
            count += 1
    if isinstance(anatomy.embedding, PackedEmbedding):
        anatomy.set_embedding(unpacked(anatomy.embedding))
        count += 1
        if tied:
            anatomy.set_projection(plain_linear(anatomy.embedding.weight, bias_of(anatomy.projection)))  # type: ignore[arg-type]
            anatomy.projection.weight = anatomy.embedding.weight
    if isinstance(anatomy.projection, PackedLinear):
        anatomy.set_projection(unpacked(anatomy.projection))
        count += 1
    if count:
        model.notes.append(
            f"This step rotates {count} matrices that an earlier step had packed; they are stored in bf16 again."
        )
