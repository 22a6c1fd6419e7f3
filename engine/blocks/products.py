"""X^T X of what the linears read: as the walk meets it, or of the model as the step finds it, gathered once and kept.

The walk shows each linear the inputs that it will see once those before it are compressed. Statistics of the model
before any of that are a little worse, but serve every setting of every method that starts from them: they are kept on
disk, a file for the linears that read one tensor, under the hash of all weights and tokens, and of how a KV cache is
rounded.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.blocks.hessian import add_products
from engine.blocks.walk import Compress, compress_blocks
from engine.errors import InputError
from engine.layers.weight import inputs_of
from engine.network.anatomy import Anatomy, Block
from engine.network.kv_cache import cache_settings
from engine.network.streaming import on_device
from engine.paths import cache_dir
from engine.system import kept_files
from engine.system.whole_files import written_whole

BUDGET_BYTES = 4_000_000_000  # of all that is kept, the newest aside; the default model's takes 200 MB
_VERSION = "1"

Report = Callable[[int, int], None]


def compress_from_products(
    anatomy: Anatomy,
    windows: Tensor,
    statistics: str,
    compress: Compress[Tensor],
    report: Report,
    chosen: Collection[int] | None = None,
) -> None:
    """Replace every linear of the blocks by what `compress` makes of it and X^T X, fp32 [inputs, inputs].

    statistics: "sequential", each of the inputs that the compressed blocks before give; "dense", all of the model as it
    is now, which is not run again where they are kept. Only the upper triangle of X^T X is whole. The rest is as in
    `compress_blocks`.
    """
    if statistics == "sequential":
        compress_blocks(anatomy, windows, add_products, compress, report, chosen)
        return
    blocks = anatomy.chosen(chosen)
    folder, gathered = _folder(anatomy, windows), 0
    if not folder.exists():
        gathered = len(anatomy.blocks)
        _gather(anatomy, windows, folder, lambda done, _: report(done, gathered + len(blocks)))
    kept_files.use(folder)
    for done, block in enumerate(blocks):
        report(gathered + done, gathered + len(blocks))
        with on_device(block.module, anatomy.device):
            _replace(block, folder, anatomy.device, compress)
    report(gathered + len(blocks), gathered + len(blocks))


def _replace(block: Block, folder: Path, device: torch.device, compress: Compress[Tensor]) -> None:
    """Replace the linears of a block by what `compress` makes of them and the products that are kept."""
    for layers in block.groups:
        inputs = inputs_of(next(iter(layers.values())))
        products = _load(folder / _file(block.name, layers), inputs, device)
        for name, layer in compress(layers, products).items():
            block.replace(name, layer)


def _gather(anatomy: Anatomy, windows: Tensor, folder: Path, report: Report) -> None:
    """Run the model once and write the upper triangles of all its products."""
    home = {layer: block.name for block in anatomy.blocks for layer in block.linears.values()}
    with written_whole(folder) as partial:
        partial.mkdir()

        def keep(layers: Mapping[str, nn.Module], products: Tensor) -> Mapping[str, nn.Module]:
            block = home[next(iter(layers.values()))]
            upper = torch.ones_like(products, dtype=torch.bool).triu()
            save_file({"upper": products[upper].cpu()}, partial / _file(block, layers))
            return layers

        compress_blocks(anatomy, windows, add_products, keep, report)
    kept_files.keep_within(folder, BUDGET_BYTES)


def _load(file: Path, inputs: int, device: torch.device) -> Tensor:
    """The products [inputs, inputs] that a file holds, their lower triangle zero."""
    try:
        values = load_file(file)["upper"]
        if (
            values.dtype != torch.float32
            or values.shape != (inputs * (inputs + 1) // 2,)
            or not values.isfinite().all()
        ):
            raise ValueError(f"no products of {inputs} inputs")
    except (OSError, SafetensorError, KeyError, ValueError):
        kept_files.delete(file.parent)
        raise InputError(f"the statistics kept in {str(file.parent)!r} were damaged; they are deleted, retry") from None
    products = torch.zeros(inputs, inputs, device=device)
    products[torch.ones_like(products, dtype=torch.bool).triu()] = values.to(device)
    return products


def _file(block: str, layers: Mapping[str, nn.Module]) -> str:
    return f"{block}.{next(iter(layers))}.safetensors"


def _folder(anatomy: Anatomy, windows: Tensor) -> Path:
    """Where the products of a network on windows [windows, tokens] are kept."""
    network, told = anatomy.network, hashlib.sha256(_VERSION.encode())
    if (rounded := cache_settings(anatomy)) is not None:
        told.update(rounded.text.encode())
    config = {name: value for name, value in network.config.to_dict().items() if not name.startswith("_")}
    told.update(json.dumps(config, sort_keys=True, default=str).encode())
    for name, tensor in (*network.state_dict().items(), ("windows", windows)):
        told.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        told.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    place = cache_dir() / "products"
    place.mkdir(exist_ok=True)
    return place / told.hexdigest()
