"""How long trials will take and what they will write, before they are launched.

A trial's cost is counted in forward passes: the tokens it reads, two operations a parameter and token. The speed is
taken from the trials this machine has finished: how much longer they took than counted. Before there are any, it is
that of the default model on two cores, and the range is wide. Torch-free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

from engine.measure.environment import cpu_threads
from engine.outcome import sensitivity
from engine.outcome.row import Row
from engine.running.halfway import BUDGET_BYTES
from engine.spec import Protocol, Recipe, Trial, parse

DEFAULT_PARAMETERS = 134_515_008

# Measured on SmolLM2-135M-Instruct, fp32, one core of an AVX2 machine: 512 tokens with the head take 2.3 s of it.
FLOPS_PER_CORE = 60e9
# Tokens read for an item on average (choices that differ in their last token share one pass); 120 where not measured.
TOKENS_PER_ITEM = {"piqa": 60, "openbookqa": 69, "commonsense_qa": 42, "boolq": 156, "social_iqa": 93}
OTHER_TOKENS_PER_ITEM = 120
START_SECONDS = 5.0  # process, imports
LOAD_SECONDS = 1.0  # reading or writing the weights of the default model once
DECODE_SECONDS = 0.026  # a token of the default model in bf16
KERNEL_PASSES = 8  # windows' worth of fp32 time for two windows on the packed kernels, which bf16 slows

UNKNOWN = (0.5, 2.0)  # the range's factors before any trial has finished here
FEW = 3  # finished trials from which their own spread is the range
LEAST_SPREAD = 0.15
ROW_BYTES, ITEM_BYTES = 6_000, 60  # what the store keeps of a trial and, deflated, of an answer
TOKEN_BYTES = 2 * 576 + 8  # of what a dense model's head reads at a held-out position, its most likely token and loss
COMPARED_TEXT = 1.25  # of a window's time, where it is held against the dense model's
LAYERS_TOKENS = 1024  # read for the errors by layer, by both models
GRID_TOKENS, GRID_STEPS = 60_000, 300  # read and decoded by each side of the times by batch and prompt
WRITTEN_TOKENS = 3500  # read in the time that greedy continuations take
TOKENIZER_BYTES = 4_000_000
# Whole passes: each change of a block runs, of as many blocks as the default model has, half on average.
SENSITIVITY_TOKENS = len(sensitivity.WAYS) * 30 / 2 * sensitivity.WINDOWS * sensitivity.TOKENS


@dataclass(frozen=True)
class Estimate:
    """What trials will cost: seconds from `low_seconds` to `high_seconds`, and bytes.

    kept_bytes stay in the store and the cache; working_bytes are the most that lie in the temporary folder, and in the
    cache as models that may be asked more, at a time.
    finished: how many trials of this machine the speed was taken from.
    """

    low_seconds: float
    high_seconds: float
    kept_bytes: float
    working_bytes: float
    finished: int

    @property
    def time(self) -> str:
        """The range in words: "about 4 to 7 minutes", "about 20 to 50 seconds", "no time: all is answered"."""
        if not self.high_seconds:
            return "no time: everything is answered already"
        unit, name = next((u, n) for u, n in _UNITS if self.high_seconds >= 2 * u or u == 1)
        low, high = max(1, round(self.low_seconds / unit)), max(1, round(self.high_seconds / unit))
        span = f"{low}" if low == high else f"{low} to {high}"
        return f"about {span} {name if high > 1 else name.removesuffix('s')}"

    @property
    def basis(self) -> str:
        """What the range rests on, for the line beneath it."""
        if self.finished:
            return f"from {self.finished:,} finished trial{'s' if self.finished > 1 else ''} on this machine"
        return "a first guess: no trial has finished on this machine yet"


def estimate(
    trials: Sequence[Trial],
    measures: Sequence[str] | Mapping[str, Sequence[str]],
    rows: Sequence[Row] = (),
    parameters: int | None = None,
    anytime: bool = False,
) -> Estimate:
    """The cost of trials that run one after another.

    measures: those of every trial, or by trial id as `Store.missing` gives them, where a trial that is not named costs
    nothing. rows: what the store holds; finished ones of this machine give the speed. parameters: of the model; that of
    its measured dense trial unless given, else the default model's. anytime: trials answer by shares.
    """
    sizes = _parameters_by_model(rows)
    wanted = measures if isinstance(measures, Mapping) else {trial.id: measures for trial in trials}
    work, kept, halfway = 0.0, 0.0, 0.0
    for trial in {trial.id: trial for trial in trials}.values():
        if trial.id in wanted:
            size = parameters or sizes.get(trial.model, DEFAULT_PARAMETERS)
            work += counted_seconds(trial.recipe, trial.protocol, wanted[trial.id], size)
            kept += _kept_bytes(trial.protocol, wanted[trial.id])
            halfway += 2.0 * size if anytime and trial.recipe.steps else 0.0  # at most bf16, but for what slicing turns
    ratios = _ratios(rows, sizes)
    low, high = _factors(ratios)
    largest = max((parameters or sizes.get(t.model, DEFAULT_PARAMETERS) for t in trials if t.id in wanted), default=0)
    working = 2.0 * largest + TOKENIZER_BYTES if largest else 0.0  # a packed checkpoint is at most bf16
    working += min(halfway, BUDGET_BYTES)
    return Estimate(work * low, work * high, kept + _reference_bytes(trials, wanted), working, len(ratios))


def counted_seconds(recipe: Recipe, protocol: Protocol, measures: Sequence[str], parameters: int) -> float:
    """Seconds that a trial's work would take on this machine's threads at the default model's measured speed."""
    threads = cpu_threads(protocol.threads)
    scale = parameters / DEFAULT_PARAMETERS
    token = 2 * parameters / (FLOPS_PER_CORE * max(1, threads))
    tokens = recipe.calibration_passes * protocol.calibration_windows * protocol.sequence_length
    fixed = START_SECONDS + 2 * LOAD_SECONDS * scale  # the dense model is read, the packed one written
    if "perplexity" in measures:
        tokens += (COMPARED_TEXT * protocol.perplexity_windows + KERNEL_PASSES) * protocol.sequence_length
        tokens += WRITTEN_TOKENS
    if "layers" in measures and recipe.steps:
        tokens += LAYERS_TOKENS
    if "accuracy" in measures:
        tokens += protocol.limit * sum(TOKENS_PER_ITEM.get(task, OTHER_TOKENS_PER_ITEM) for task in protocol.tasks)
    if sensitivity.NAME in measures:
        tokens += protocol.calibration_windows * protocol.sequence_length + SENSITIVITY_TOKENS
    decode = protocol.decode_tokens * DECODE_SECONDS * scale
    if "memory" in measures:
        fixed += 2 * START_SECONDS + LOAD_SECONDS * scale + decode
        tokens += protocol.prompt_tokens
    sides = 2 if recipe.steps else 1
    if "latency_grid" in measures:
        fixed += sides * (4 * LOAD_SECONDS * scale + GRID_STEPS * DECODE_SECONDS * scale)
        tokens += sides * GRID_TOKENS
    if "latency" in measures:
        fixed += sides * (4 * LOAD_SECONDS * scale + 4 * decode)
        tokens += sides * 24 * protocol.prompt_tokens * protocol.batch_size
    return fixed + tokens * token


_UNITS = ((3600, "hours"), (60, "minutes"), (1, "seconds"))


def _parameters_by_model(rows: Sequence[Row]) -> dict[str, int]:
    """What dense trials counted, by model."""
    dense = (row for row in rows if row.recipe == "dense")
    return {row.model: int(count) for row in dense if (count := row.value("parameters"))}


def _ratios(rows: Sequence[Row], sizes: Mapping[str, int]) -> list[float]:
    """How much longer than counted each finished trial of this machine took, shortest first."""
    ratios = []
    for row in rows:
        whole = row.state == "done" and row.stopped_at is None and not row.recorded
        if not (whole and row.started_at and row.finished_at and row.measures):
            continue
        protocol = Protocol.from_dict(row.protocol)
        size = sizes.get(row.model, DEFAULT_PARAMETERS)
        counted = counted_seconds(parse(row.recipe), protocol, row.measures, size)
        ratios.append((row.finished_at - row.started_at) / counted)
    return sorted(ratio for ratio in ratios if ratio > 0)


def _factors(ratios: Sequence[float]) -> tuple[float, float]:
    """What counted seconds are multiplied by at both ends: the middle 60% of what finished trials took."""
    if not ratios:
        return UNKNOWN
    if len(ratios) < FEW:
        return min(ratios) * 0.7, max(ratios) * 1.5
    fifths = quantiles(ratios, n=5, method="inclusive")
    middle = (fifths[0] + fifths[-1]) / 2
    return min(fifths[0], middle * (1 - LEAST_SPREAD)), max(fifths[-1], middle * (1 + LEAST_SPREAD))


def _kept_bytes(protocol: Protocol, measures: Sequence[str]) -> float:
    answers = protocol.limit * len(protocol.tasks) if "accuracy" in measures else 0
    return ROW_BYTES + ITEM_BYTES * answers


def _reference_bytes(trials: Sequence[Trial], wanted: Mapping[str, Sequence[str]]) -> float:
    """What the dense model says of the text, which is kept once for each comparison with perplexity."""
    asked = {t.comparison_id: t.protocol for t in trials if "perplexity" in wanted.get(t.id, ())}
    return float(sum(TOKEN_BYTES * p.perplexity_windows * p.sequence_length for p in asked.values()))
