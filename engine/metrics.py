"""Every metric once: its name, label, unit, direction and definition, as the tables, axes and hovers show them."""

from dataclasses import dataclass, replace
from typing import Literal

from engine.tasks import TASKS

Direction = Literal["lower", "higher", "none"]
Scale = Literal["log", "linear"]


@dataclass(frozen=True)
class Metric:
    """One measured quantity; `timed` metrics are never shown for simulated results on a front."""

    name: str
    label: str
    unit: str
    better: Direction
    definition: str
    measure: str  # which of spec.MEASURES gives it
    scale: Scale = "linear"
    timed: bool = False


def _bytes(name: str, label: str, definition: str, **more: object) -> Metric:
    return Metric(name, label, "MB", "lower", definition, scale="log", **{"measure": "size", **more})  # type: ignore[arg-type]


# One metric a line, so that the table reads as one.
# fmt: off
_ALL = (
    _bytes("weight_bytes", "Weights", "Bytes of the packed tensors that a checkpoint holds, tied tensors counted once."),
    _bytes("checkpoint_bytes", "Checkpoint file", "Bytes of the checkpoint's safetensors file, header included."),
    _bytes("resident_weight_bytes", "Weights in memory", "Bytes of the tensors that the running model holds."),
    *(
        _bytes(f"{part}_bytes", label, f"Bytes of {what} in the checkpoint.")
        for part, label, what in (
            ("embedding", "Embedding", "the token embedding"),
            ("head", "Head", "the output head that is not shared with the embedding"),
            ("linears", "Linears", "the weights of the blocks' linear layers, or of those that are not zero, with a mask of where they stand,"),
            ("scales_zeros", "Scales and zeros", "quantization scales and zero points"),
            ("norms", "Norms", "the norms' gains and biases"),
            ("other", "Other", "everything else: biases, learned positions, rotations"),
        )
    ),
    Metric("compression_ratio", "Times smaller than bf16", "x", "higher", "Bytes of the original in bf16 over weight bytes.", "size", "log"),
    Metric("compression_ratio_fp32", "Times smaller than fp32", "x", "higher", "Bytes of the original in fp32 over weight bytes.", "size", "log"),
    Metric("bits_per_weight", "Bits per original weight", "bits", "lower", "8 x weight bytes over the original's parameters.", "size"),
    Metric("parameters", "Parameters", "M", "lower", "Numbers in the compressed model once unpacked, tied tensors counted once.", "size", "log"),
    Metric("nonzero_parameters", "Non-zero parameters", "M", "lower", "Parameters that are not exactly zero.", "size", "log"),
    Metric("kv_cache_bytes_per_token", "KV cache per token", "bytes", "lower", "Bytes of keys and values kept for each token, in bf16 or packed with their scales and zero points.", "size"),
    Metric("prefill_ms", "Time to read the prompt", "ms", "lower", "Median time of one forward pass over the prompt.", "latency", "log", True),
    Metric("decode_ms_per_token", "Time per word", "ms", "lower", "Median time of one decoding step with a KV cache.", "latency", "log", True),
    Metric("decode_tokens_per_s", "Words per second", "tokens/s", "higher", "Sequences in the batch over the time of one decoding step.", "latency", "log", True),
    Metric("prefill_spread_ms", "Spread of the prompt time", "ms", "none", "Interquartile range of the prompt times.", "latency", timed=True),
    Metric("decode_spread_ms", "Spread of the time per word", "ms", "none", "Interquartile range of the decoding step times.", "latency", timed=True),
    Metric("prefill_speedup", "Prompt speed-up", "x", "higher", "The original's prompt time over the compressed model's, interleaved in one run, each at its faster number format.", "latency", "log", True),
    Metric("decode_speedup", "Decoding speed-up", "x", "higher", "The original's time per token over the compressed model's, interleaved in one run, each at its faster number format.", "latency", "log", True),
    _bytes("peak_memory_bytes", "Peak memory", "Peak resident memory of a fresh process that loads the checkpoint and generates, less one that only imports.", measure="memory"),
    _bytes("compress_peak_memory_bytes", "Peak memory to compress", "Peak resident memory of the process that compressed the model.", measure="memory"),
    Metric("perplexity", "Perplexity", "", "lower", "exp of the mean token loss on the protocol's text, held-out Wikipedia passages unless another was chosen: windows without overlap, token level.", "perplexity", "log"),
    Metric("perplexity_ratio", "Perplexity against the original", "x", "lower", "Perplexity over the original's on the same text.", "perplexity", "log"),
    Metric("kl_to_dense", "Divergence from the original", "nats", "lower", "How far the probabilities of the next word move from the original's: 0 is not at all, at 0.7 the words that it expects are held half as likely. KL(original || compressed) in nats a token, mean over the positions that perplexity is measured at.", "perplexity"),
    Metric("loss_change", "Change in loss", "nats", "lower", "How much less the text is expected than by the original: at 0.7 its words are held half as likely, on average. Mean token loss less the original's in nats a token, paired on the same windows.", "perplexity"),
    Metric("top1_agreement", "Same next word as the original", "%", "higher", "Share of the text's positions whose most likely next token is the original's.", "perplexity"),
    Metric("kernel_top1_agreement", "Kernel agrees with fp32", "%", "higher", "Share of positions where the running kernel's most likely token is the fp32 evaluation's.", "perplexity"),
    Metric("greedy_match_tokens", "Words written like the original", "tokens", "higher", "Mean length of the greedy continuation's common beginning with the original's: 50 fixed prompts, 32 tokens each.", "perplexity"),
    Metric("accuracy", "Accuracy", "%", "higher", "Share of items whose right answer has the highest log-likelihood of all its choices, mean over tasks: acc.", "accuracy"),
    Metric("accuracy_norm", "Accuracy, by length", "%", "higher", "As accuracy, with each choice's log-likelihood divided by its length in characters, so that long answers stand a chance, where the task defines that: acc_norm.", "accuracy"),
    Metric("accuracy_chance", "Guessing", "%", "none", "The better of uniform guessing and the constant answer, mean over tasks.", "accuracy"),
    Metric("accuracy_retention", "Accuracy kept", "%", "higher", "Accuracy over the original's on the same items.", "accuracy"),
    Metric("retention_above_chance", "Accuracy kept above guessing", "%", "higher", "(accuracy - chance) / (the original's accuracy - chance).", "accuracy"),
    Metric("retention_norm_above_chance", "Accuracy kept above guessing, by length", "%", "higher", "(accuracy, by length - chance) / (the original's accuracy, by length - chance).", "accuracy"),
    Metric("accuracy_change", "Change in accuracy", "points", "higher", "Accuracy less the original's, paired on the same items.", "accuracy"),
    Metric("accuracy_norm_retention", "Accuracy kept, by length", "%", "higher", "Accuracy, by length, over the original's on the same items.", "accuracy"),
    Metric("accuracy_norm_change", "Change in accuracy, by length", "points", "higher", "Accuracy, by length, less the original's, paired on the same items.", "accuracy"),
    Metric("questions", "Questions", "questions", "none", "Items answered, over all tasks.", "accuracy"),
    Metric("flips", "Answers that changed", "%", "lower", "Share of items whose answer differs from the original's.", "accuracy"),
    Metric("flips_to_wrong", "Right before, wrong now", "questions", "lower", "Items that the original answers right and this one wrong.", "accuracy"),
    Metric("flips_to_right", "Wrong before, right now", "questions", "none", "Items that the original answers wrong and this one right.", "accuracy"),
    Metric("mcnemar_p", "Flips this one-sided by chance", "", "none", "How likely flips at least this one-sided are if both models are right equally often: McNemar's exact test, two-sided, items pooled.", "accuracy"),
)
# fmt: on

_SUMMARY = (
    "weight_bytes",
    "compression_ratio",
    "accuracy",
    "accuracy_change",
    "top1_agreement",
    "perplexity",
    "decode_speedup",
    "peak_memory_bytes",
)

SCORES = ("accuracy", "accuracy_norm")  # the two ways to count answers, by acc and by acc_norm
ABOVE_CHANCE = {"accuracy": "retention_above_chance", "accuracy_norm": "retention_norm_above_chance"}
ASIDE = ("_low", "_high", "_stderr")  # ends of names that belong beside a metric: its interval, its standard error
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
PRESETS = {  # the axes of the fronts that are looked at most
    "size-quality": ("weight_bytes", "accuracy"),
    "speed-quality": ("decode_speedup", "accuracy"),
    "memory-quality": ("peak_memory_bytes", "accuracy"),
}


def summary(score: str) -> list[str]:
    """What a result is summed up by, in the order of tables, its answers counted by a score."""
    return [name.replace("accuracy", score) for name in _SUMMARY]


def metric(name: str) -> Metric:
    """The metric of a name; those of one task, or of a group of its items, and `<name>` with one of `ASIDE` are derived.

    Raises KeyError for a name that is none of these.
    """
    if name in METRICS:
        return METRICS[name]
    for suffix, words in (("_low", "lower end of the 95% interval"), ("_high", "upper end of the 95% interval")):
        if name.endswith(suffix):
            base = metric(name.removesuffix(suffix))
            return _derived(base, name, f"{base.label}, {words}", f"{base.definition} The {words}.")
    if name.endswith("_stderr"):
        base = metric(name.removesuffix("_stderr"))
        found = _derived(base, name, f"{base.label}, standard error", f"{base.definition} The standard error.")
        return replace(found, better="none")
    for prefix in ("accuracy_chance_", "accuracy_norm_", "accuracy_"):
        if name.startswith(prefix):
            base, words = METRICS[prefix.rstrip("_")], _task_words(name.removeprefix(prefix))
            return _derived(base, name, f"{base.label} on {words}", f"{base.definition} Of {words} alone.")
    if name.startswith("perplexity_"):
        words = _task_words(name.removeprefix("perplexity_"))
        meant = f"exp of the mean negative log-likelihood of what should come next in {words}, all its tokens together."
        return Metric(name, f"Perplexity on {words}", "", "lower", meant, "accuracy", "log")
    raise KeyError(name)


def _task_words(task: str) -> str:
    """A task's label, and behind it the group of its items that the name goes on with, if any."""
    whole = next((known for known in TASKS if task == known or task.startswith(f"{known}_")), None)
    if whole is None:
        return task
    group = task.removeprefix(whole).removeprefix("_").replace("_", " ")
    return f"{TASKS[whole].label}, {group}" if group else TASKS[whole].label


def _derived(base: Metric, name: str, label: str, definition: str) -> Metric:
    return Metric(name, label, base.unit, base.better, definition, base.measure, base.scale, base.timed)
