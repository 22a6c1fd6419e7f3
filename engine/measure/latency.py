"""Prefill and decoding time of a compressed network, interleaved with the dense one in the same loop.

Absolute times on a shared machine are noise, so what counts is the ratio: both networks run in this process and take
turns, prompt by prompt and chunk of tokens by chunk of tokens, in alternating order (A B, B A, …). Each side runs in
whichever of fp32 and bf16 is faster for it in that phase, so that nothing wins against a slow baseline. A timing that
ran beside other load is repeated, and the quietest attempt is kept and flagged if it was still disturbed.

Prefill is one forward pass over the prompt up to the logits of its last position, as generation runs it; decoding is
greedy, one token a step, from what the network keeps of the prompt: keys and values, or a state.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.layers.packed_linear import multiplies_bf16
from engine.measure import machine_load
from engine.network.past import Past, read_on
from engine.spec import Protocol

Load = Callable[[torch.dtype], nn.Module]  # the causal network in a number format, ready to run
Report = Callable[[int, int], None]  # (units done, units in all)
Blocks = NDArray[np.float64]  # [sides, blocks, steps] milliseconds; the steps of a block ran back to back; NaN pads

DTYPES = (torch.float32, torch.bfloat16)
PHASES = ("prefill", "decode")
PREFILLS = 12
DECODE_ROUNDS = 2
CHUNK = 8
ATTEMPTS = 3
PATIENCE_SECONDS = 60.0  # after which a disturbed phase is not repeated: the load will not pass soon
PROBES, PROBES_MS = 16, 1000.0  # runs that tell which format is faster: at most so many, for about so long
PROBE_MS = 5000.0  # of a warm-up that is answer enough; a shorter one may be mostly the making of kernels
TIE = 0.05  # the other must be quicker by more than this share, or chance would pick the sides' formats
RESAMPLES = 1000


@dataclass
class Timing:
    """Metrics by name, the facts that belong to them (which number format won), and sentences a reader must know."""

    metrics: dict[str, float | None] = field(default_factory=dict)
    facts: dict[str, str | float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Side:
    """One of the networks that take turns; it is in memory in one number format at a time."""

    def __init__(self, name: str, load: Load) -> None:
        self.name = name
        self._load = load
        self._dtype: torch.dtype | None = None
        self._network: nn.Module | None = None

    def network(self, dtype: torch.dtype) -> nn.Module:
        """The network in a number format, loaded when it is not the one in memory."""
        if self._dtype is not dtype or self._network is None:
            self._network = None  # freed before the other is read
            self._network, self._dtype = self._load(dtype), dtype
        return self._network


def measure(dense: Load, compressed: Load | None, protocol: Protocol, report: Report) -> Timing:
    """Time prefill and decoding of the compressed network against the dense one, or of the dense one alone.

    compressed: None for the dense trial, whose speed-ups are 1 by definition and not timed. Gives prefill_ms,
    decode_ms_per_token (medians), their *_spread_ms (interquartile ranges), decode_tokens_per_s (over the batch),
    prefill_speedup and decode_speedup with 95% intervals. The caller holds the machine's timing lock.
    """
    sides = [Side("dense", dense)] + ([Side("compressed", compressed)] if compressed else [])
    meter = Meter(report, len(sides) * len(DTYPES) + _blocks(protocol))
    timing = Timing()
    with torch.inference_mode():
        faster = {side.name: probe(side, [protocol], meter)[0] for side in sides}
        for phase in PHASES:
            _time_phase(phase, sides, {name: dtypes[phase] for name, dtypes in faster.items()}, protocol, meter, timing)
    if not compressed:
        timing.notes.append("Speed-ups of the original model are 1 by definition; it was timed once, alone.")
    return timing


def probe(side: Side, protocols: Sequence[Protocol], meter: "Meter") -> list[dict[str, torch.dtype]]:
    """The faster number format of a side for each phase under each protocol, by some runs; leaves the last one loaded.

    The usual format of prefill, the phase that is timed next, comes last: it is then still in memory.
    """
    times: dict[torch.dtype, list[dict[str, float]]] = {}
    for dtype in sorted(DTYPES, key=lambda dtype: dtype is usual("prefill")):
        network = side.network(dtype)
        times[dtype] = [_probe_once(network, protocol) for protocol in protocols]
        meter.advance()
    return [
        {phase: _faster(phase, {dtype: found[i][phase] for dtype, found in times.items()}) for phase in PHASES}
        for i in range(len(protocols))
    ]


def prompt_tokens(network: nn.Module, protocol: Protocol) -> Tensor:
    """Random tokens [batch_size, prompt_tokens] of the network's vocabulary; the same for the same protocol."""
    config: Any = network.config
    generator = torch.Generator().manual_seed(protocol.seed)
    shape = (protocol.batch_size, protocol.prompt_tokens)
    tokens = torch.randint(config.vocab_size, shape, generator=generator)
    return tokens.to(next(network.parameters()).device)


def prefill(network: nn.Module, prompt: Tensor) -> tuple[Tensor, Past]:
    """Read a prompt [batch, tokens]: the greedy next tokens [batch, 1] and what is kept of the prompt."""
    logits, past = read_on(network, prompt)
    return logits.argmax(dim=-1), past


def greedy(network: nn.Module, prompt: Tensor, tokens: int) -> None:
    """Read a prompt [batch, tokens] and decode `tokens` more, as the timed phases do."""
    loop = _DecodeLoop(network, prompt)
    for _ in range(tokens):
        loop.run()


def prefill_blocks(
    networks: Sequence[nn.Module], protocol: Protocol, advance: Callable[[], None], runs: int = PREFILLS
) -> Blocks:
    """Prompt times [sides, runs, 1] in milliseconds, the sides taking turns, after one warm-up of each."""
    prompts = [prompt_tokens(network, protocol) for network in networks]
    times = np.full((len(networks), runs, 1), np.nan)
    for network, prompt in zip(networks, prompts, strict=True):
        prefill(network, prompt)
    for block in range(runs):
        for side in _turns(len(networks), block):
            network, prompt = networks[side], prompts[side]
            times[side, block, 0] = _milliseconds(partial(prefill, network, prompt), prompt.device)
        advance()
    return times


def decode_blocks(networks: Sequence[nn.Module], protocol: Protocol, advance: Callable[[], None]) -> Blocks:
    """Step times [sides, rounds x chunks, CHUNK] in milliseconds of decoding `decode_tokens` after the prompt.

    The sides take turns in chunks of CHUNK tokens, each continuing its own cache; every round starts from the prompt
    again, with one step of warm-up that is not among the tokens timed.
    """
    chunks = _chunks(protocol)
    times = np.full((len(networks), DECODE_ROUNDS * len(chunks), CHUNK), np.nan)
    for first in range(0, times.shape[1], len(chunks)):
        loops = [_DecodeLoop(network, prompt_tokens(network, protocol)) for network in networks]
        for loop in loops:
            loop.run()
        for block, steps in enumerate(chunks, start=first):
            for side in _turns(len(networks), block):
                for step in range(steps):
                    times[side, block, step] = _milliseconds(loops[side].run, loops[side].device)
            advance()
    return times


def summary(phase: str, times: Blocks, batch_size: int, seed: int = 0) -> dict[str, float | None]:
    """The metrics of a phase from its times, dense first and compressed last; with one side the speed-up is 1."""
    low, middle, high = np.nanpercentile(times[-1], (25, 50, 75))
    name = "decode_ms_per_token" if phase == "decode" else "prefill_ms"
    metrics: dict[str, float | None] = {name: float(middle), f"{phase}_spread_ms": float(high - low)}
    if phase == "decode":
        metrics["decode_tokens_per_s"] = batch_size * 1000 / float(middle)
    ratio, ratio_low, ratio_high = speedup(times, seed) if len(times) > 1 else (1.0, 1.0, 1.0)
    return metrics | {
        f"{phase}_speedup": ratio,
        f"{phase}_speedup_low": ratio_low,
        f"{phase}_speedup_high": ratio_high,
    }


def speedup(times: Blocks, seed: int = 0) -> tuple[float, float, float]:
    """Median dense over median compressed time, and the ends of its 95% interval, from times [2, blocks, steps].

    The interval resamples blocks, both sides of a block together: neighbouring steps share whatever slowed them, so
    single steps would make it too narrow. Percentile bootstrap: Efron and Tibshirani 1993, chapter 13.
    """
    blocks = times.shape[1]
    chosen = np.random.default_rng(seed).integers(blocks, size=(RESAMPLES, blocks))
    medians = np.nanmedian(times[:, chosen].reshape(2, RESAMPLES, -1), axis=-1)  # [2, RESAMPLES]
    low, high = np.percentile(medians[0] / medians[1], (2.5, 97.5))
    dense, compressed = np.nanmedian(times.reshape(2, -1), axis=-1)
    return float(dense / compressed), float(low), float(high)


class _DecodeLoop:
    """Greedy decoding of one network from its own past, a token for each `run`."""

    def __init__(self, network: nn.Module, prompt: Tensor) -> None:
        self._network = network
        self._token, self._past = prefill(network, prompt)  # token: [batch, 1]
        self.device = prompt.device

    def run(self) -> None:
        logits, self._past = read_on(self._network, self._token, self._past)
        self._token = logits.argmax(dim=-1)


class Meter:
    """Counts units of the stage; an attempt that is repeated adds its units to the total."""

    def __init__(self, report: Report, total: int) -> None:
        self._report = report
        self._done, self._total = 0, total
        report(0, total)

    def advance(self) -> None:
        self._done += 1
        self._report(self._done, self._total)

    def extend(self, units: int) -> None:
        self._total += units


def _probe_once(network: nn.Module, protocol: Protocol) -> dict[str, float]:
    """Milliseconds of both phases, roughly."""
    prompt = prompt_tokens(network, protocol)
    return {
        "prefill": _quickest(partial(prefill, network, prompt), prompt.device),
        "decode": _quickest(_DecodeLoop(network, prompt).run, prompt.device),
    }


def _time_phase(
    phase: str,
    sides: Sequence[Side],
    dtypes: Mapping[str, torch.dtype],
    protocol: Protocol,
    meter: Meter,
    timing: Timing,
) -> None:
    """Time one phase, each side in its number format, and add the result to `timing`."""
    run = prefill_blocks if phase == "prefill" else decode_blocks
    networks = [side.network(dtypes[side.name]) for side in sides]
    times, others = quietest(run, networks, protocol, meter, PATIENCE_SECONDS)
    timing.metrics |= summary(phase, times, protocol.batch_size, protocol.seed)
    timing.facts |= {f"{name}_{phase}_dtype": str(dtype).removeprefix("torch.") for name, dtype in dtypes.items()}
    timing.facts[f"{phase}_other_cores"] = round(others, 3)
    if machine_load.disturbed(others):
        timing.notes.append(
            f"Disturbed: {phase} was timed beside other load that took {100 * others:.0f}% of a core, "
            f"the least of all attempts; its times are too long, its speed-up less so."
        )


def quietest(
    run: Callable[[Sequence[nn.Module], Protocol, Callable[[], None]], Blocks],
    networks: Sequence[nn.Module],
    protocol: Protocol,
    meter: Meter,
    patience_s: float,
) -> tuple[Blocks, float]:
    """Times of the first undisturbed of ATTEMPTS, or else of the least disturbed, and the cores that others took.

    run: what times the networks once; patience_s: how long after the beginning a disturbed attempt is still repeated.
    """
    attempts: list[tuple[Blocks, float]] = []
    began = time.perf_counter()
    while len(attempts) < ATTEMPTS:
        start = machine_load.read()
        times = run(networks, protocol, meter.advance)
        attempts.append((times, machine_load.other_cores(start, machine_load.read())))
        if not machine_load.disturbed(attempts[-1][1]) or time.perf_counter() - began > patience_s:
            break
        if len(attempts) < ATTEMPTS:
            meter.extend(times.shape[1])
    return min(attempts, key=lambda attempt: attempt[1])


def _faster(phase: str, times: Mapping[torch.dtype, float]) -> torch.dtype:
    """The format of least time; the phase's usual one where no other is clearly quicker, so that like meets like."""
    quickest, expected = min(times, key=times.__getitem__), usual(phase)
    return quickest if times[quickest] < (1 - TIE) * times[expected] else expected


def usual(phase: str) -> torch.dtype:
    """The faster format of a phase wherever it was looked at closely: fp32 for prompts where bf16 has no units."""
    return torch.float32 if phase == "prefill" and not multiplies_bf16() else torch.bfloat16


def _turns(sides: int, block: int) -> Sequence[int]:
    """The order of the sides in a block: forwards and backwards by turns."""
    return range(sides) if block % 2 == 0 else range(sides - 1, -1, -1)


def _chunks(protocol: Protocol) -> list[int]:
    """Steps in each chunk of a decoding round."""
    whole, rest = divmod(protocol.decode_tokens, CHUNK)
    return [CHUNK] * whole + ([rest] if rest else [])


def _blocks(protocol: Protocol) -> int:
    return PREFILLS + DECODE_ROUNDS * len(_chunks(protocol))


def _quickest(run: Callable[[], object], device: torch.device) -> float:
    """Milliseconds of the quickest of some runs after a warm-up; a warm-up over PROBE_MS is answer enough."""
    warm_up = _milliseconds(run, device)
    if warm_up > PROBE_MS:
        return warm_up
    times = [_milliseconds(run, device)]
    while len(times) < PROBES and sum(times) < PROBES_MS:
        times.append(_milliseconds(run, device))
    return min(times)


def _milliseconds(run: Callable[[], object], device: torch.device) -> float:
    """Wall time of one run, with the accelerator's queue empty before and after."""
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return 1000 * (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
