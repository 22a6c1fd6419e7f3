"""The weights that pictures show: rows of 64, square tiles, histograms. Chosen by rules, never drawn."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.layers.weight import weight_of
from engine.network.anatomy import Anatomy
from engine.teaching.pack import SIDE, Histogram, Tile, WeightRow, numbers

BINS = 512


def rows(anatomy: Anatomy) -> tuple[WeightRow, ...]:
    """Three rows of 64 weights: the largest outlier of all linears, a typical one beside it, one from the middle."""
    name, layer, place = _largest_outlier(anatomy)
    block = anatomy.blocks[len(anatomy.blocks) // 2]
    middle, inner = block.layout.mlp_in[0], block.linears[block.layout.mlp_in[0]]
    chosen = [
        ("outlier", name, layer, place),
        ("typical", name, layer, _median(outlier_ratios(weight_of(layer)))),
        ("middle", f"{block.name}.{middle}", inner, _median(outlier_ratios(weight_of(inner)))),
    ]
    return tuple(_row(*one) for one in chosen)


def outlier_ratios(weight: Tensor) -> Tensor:
    """Largest magnitude over root mean square of every 64 neighbours: [outputs, inputs // 64]; zero for zeros."""
    segments = _segments(weight)
    return segments.abs().amax(-1) / segments.pow(2).mean(-1).sqrt().clamp(min=torch.finfo(torch.float32).tiny)


def tiles(anatomy: Anatomy, input_norms: Mapping[str, Tensor]) -> tuple[Tile, ...]:
    """A tile of the first linear into the MLP, from the first block, the middle one and the last.

    Its columns are those 64 neighbours whose inputs differ most in size, where magnitude and Wanda part.
    input_norms: by name, [inputs], of each of these linears and of those that carry their neurons on.
    """
    return tuple(_tile(anatomy, place, input_norms) for place in tiled(anatomy))


def tiled(anatomy: Anatomy) -> list[int]:
    """The places of the blocks that tiles are cut from."""
    count = len(anatomy.blocks)
    return sorted({0, count // 2, count - 1})


def tile_layers(anatomy: Anatomy) -> dict[str, nn.Module]:
    """name -> every linear that tiles are made from."""
    parts = (anatomy.layout.mlp_in[0], anatomy.layout.mlp_out)
    blocks = [anatomy.blocks[place] for place in tiled(anatomy)]
    return {f"{block.name}.{part}": block.linears[part] for part in parts for block in blocks}


def histograms(anatomy: Anatomy, names: list[str]) -> tuple[Histogram, ...]:
    """A histogram of each of the linears named, and of the embedding."""
    layers = dict(anatomy.linears())
    chosen = [(name, layers[name]) for name in dict.fromkeys(names)]
    return tuple(_histogram(name, weight_of(layer)) for name, layer in [*chosen, ("embedding", anatomy.embedding)])


def _largest_outlier(anatomy: Anatomy) -> tuple[str, nn.Module, tuple[int, int]]:
    """(name, linear, place) of the row whose largest weight stands out most; of equal ones the first."""
    best, found = -1.0, None
    for name, layer in anatomy.linears():
        ratios = outlier_ratios(weight_of(layer))
        top = float(ratios.max())
        if top > best:
            best, found = top, (name, layer, _place(int(ratios.argmax()), ratios.shape[1]))
    assert found is not None, "a model has linears"
    return found


def _median(ratios: Tensor) -> tuple[int, int]:
    """The place of the median ratio, the lower of the two middle ones."""
    return _place(int(ratios.flatten().median(0).indices), ratios.shape[1])


def _place(index: int, width: int) -> tuple[int, int]:
    return index // width, index % width


def _segments(weight: Tensor) -> Tensor:
    """[outputs, inputs // 64, 64]; inputs left over at the end are in no segment."""
    side = min(SIDE, weight.shape[1])
    count = weight.shape[1] // side
    return weight[:, : count * side].reshape(len(weight), count, side)


def _row(kind: str, name: str, layer: nn.Module, place: tuple[int, int]) -> WeightRow:
    row, segment = place
    weight = weight_of(layer)
    values = _segments(weight)[row, segment]
    ratio = float(outlier_ratios(weight)[row, segment])
    column = segment * len(values)
    return WeightRow(kind, name, row, column, float(f"{ratio:.4g}"), numbers(values.tolist()))


def _tile(anatomy: Anatomy, place: int, input_norms: Mapping[str, Tensor]) -> Tile:
    block, out = anatomy.blocks[place], anatomy.layout.mlp_out
    part = anatomy.layout.mlp_in[0]
    name, weight = f"{block.name}.{part}", weight_of(block.linears[part])
    norms = input_norms[name]
    side = min(SIDE, weight.shape[1])
    windows = norms[: len(norms) // side * side].view(-1, side)
    column = int((windows.std(-1, correction=0) / windows.mean(-1).clamp(min=1e-30)).argmax()) * side
    cut = weight[:SIDE, column : column + side]
    carried = weight_of(block.linears[out])[:, : len(cut)].norm(dim=0)
    given = input_norms[f"{block.name}.{out}"][: len(cut)]
    return Tile(
        tensor=name,
        block=place,
        row=0,
        column=column,
        rows=cut.shape[0],
        columns=cut.shape[1],
        values=numbers(cut.flatten().tolist()),
        input_norms=numbers(norms[column : column + side].tolist()),
        neurons_magnitude=numbers(carried.tolist()),
        neurons_activated=numbers((carried * given).tolist()),
    )


def _histogram(name: str, weight: Tensor) -> Histogram:
    limit = float(f"{float(weight.abs().max()):.5g}")
    counts = torch.histc(weight.clamp(-limit, limit), BINS, -limit, limit)
    return Histogram(name, limit, tuple(int(count) for count in counts))
