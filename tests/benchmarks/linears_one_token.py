"""One token through every linear of a model's blocks: packed int8 and int4 against bf16 `F.linear`, weights cold.

    python -m tests.benchmarks.linears_one_token [MODEL] [--tokens N] [--repetitions N] [--threads N]

With `--tokens 128` it is a prompt's, where packed weights are expanded first, and W8A8's are multiplied as they are.
A repetition runs each number format once over all linears, the formats taking turns, so that no cache holds a weight
from one use to the next (212 MB in bf16 for the default model). All run as `checkpoint.load` makes them, bf16
activations in and out, Python's own time included. Two figures each: the median over repetitions, and the sum over
linears of each one's fastest time, which is what an undisturbed machine takes. On a busy one they lie far apart.
"""

import argparse
import statistics
import time

import torch
from torch import Tensor, nn

from engine import models
from engine.layers.packed_linear import PackedLinear
from engine.layers.rounded_inputs import RoundedInputs
from engine.layers.weight import plain_linear, weight_of
from engine.methods.rtn import quantize
from engine.network import sources
from engine.spec import DEFAULT_MODEL
from engine.spec.quantize import PER_CHANNEL, Rtn

FORMATS: dict[str, Rtn | None] = {"bf16": None, "int8": Rtn(bits=8), "int4": Rtn(bits=4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    weights = [weight_of(layer) for _, layer in models.load(sources.resolve(arguments.model)).anatomy.linears()]
    formats = {name: [_layer(weight, settings) for weight in weights] for name, settings in FORMATS.items()}
    formats["w8a8"] = [RoundedInputs(quantize(weight, Rtn(bits=8, group_size=PER_CHANNEL))) for weight in weights]
    times = measure(formats, arguments.tokens, arguments.repetitions)
    print(f"{len(weights)} linears, {arguments.tokens} tokens, {arguments.threads} threads, {arguments.repetitions} x")
    medians = {name: statistics.median(map(sum, rounds)) for name, rounds in times.items()}
    fastest = {name: sum(map(min, zip(*rounds, strict=True))) for name, rounds in times.items()}
    for name, layers in formats.items():
        size = sum(t.numel() * t.element_size() for layer in layers for t in (*layer.parameters(), *layer.buffers()))
        print(
            f"{name}: median {1000 * medians[name]:6.2f} ms ({medians['bf16'] / medians[name]:.2f} x bf16), "
            f"undisturbed {1000 * fastest[name]:6.2f} ms ({fastest['bf16'] / fastest[name]:.2f} x bf16), "
            f"{size / 1e6:5.1f} MB, {size / fastest[name] / 1e9:4.1f} GB/s"
        )


@torch.inference_mode()
def measure(formats: dict[str, list[nn.Module]], tokens: int, repetitions: int) -> dict[str, list[list[float]]]:
    """Seconds of every layer in every repetition, by format, after one repetition to warm up."""
    generator = torch.Generator().manual_seed(0)
    widths = [int(layer.in_features) for layer in next(iter(formats.values()))]  # type: ignore[arg-type]
    inputs = [torch.randn(tokens, width, generator=generator).bfloat16() for width in widths]
    times: dict[str, list[list[float]]] = {name: [] for name in formats}
    for repetition in range(repetitions + 1):
        for name, layers in formats.items():
            seconds = []
            for layer, x in zip(layers, inputs, strict=True):
                start = time.perf_counter()
                layer(x)
                seconds.append(time.perf_counter() - start)
            if repetition:
                times[name].append(seconds)
    return times


def _layer(weight: Tensor, settings: Rtn | None) -> nn.Module:
    return plain_linear(weight.bfloat16()) if settings is None else PackedLinear(quantize(weight, settings))


if __name__ == "__main__":
    main()
