"""Times of the phases and the speed-up they give, on recorded times and on tiny models."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from engine.measure import latency, machine_load
from engine.spec import Protocol

PROTOCOL = Protocol(prompt_tokens=12, decode_tokens=10, batch_size=2)


def llama(layers: int = 2) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval()


def loads(layers: int = 2) -> Callable[[torch.dtype], nn.Module]:
    return lambda dtype: llama(layers).to(dtype)


def quiet(monkeypatch: pytest.MonkeyPatch, *loads: float) -> None:
    """Let the timings find these loads beside them, one after another, the last one ever after."""
    seen = list(loads)
    monkeypatch.setattr(machine_load, "other_cores", lambda start, end: seen.pop(0) if len(seen) > 1 else seen[0])


# ---- what the times give


def test_summary_of_the_compressed_side_is_its_median_and_quartiles() -> None:
    dense = np.full((4, 1), 8.0)
    compressed = np.array([[1.0], [2.0], [3.0], [4.0]])
    metrics = latency.summary("prefill", np.stack([dense, compressed]), batch_size=1)
    assert metrics["prefill_ms"] == 2.5
    assert metrics["prefill_spread_ms"] == 3.25 - 1.75
    assert metrics["prefill_speedup"] == pytest.approx(8 / 2.5)
    assert "decode_ms_per_token" not in metrics


def test_decoding_counts_every_sequence_of_the_batch() -> None:
    metrics = latency.summary("decode", np.full((2, 3, 8), 20.0), batch_size=4)
    assert metrics["decode_ms_per_token"] == 20
    assert metrics["decode_tokens_per_s"] == pytest.approx(4 * 1000 / 20)


def test_dense_alone_has_a_speed_up_of_one_by_definition() -> None:
    metrics = latency.summary("decode", np.array([[[3.0, 5.0]]]), batch_size=1)
    assert [metrics[f"decode_speedup{end}"] for end in ("", "_low", "_high")] == [1, 1, 1]


def test_padding_of_a_short_last_block_counts_for_nothing() -> None:
    full = np.array([[[4.0, 4.0], [4.0, 4.0]], [[2.0, 2.0], [2.0, 2.0]]])
    padded = full.copy()
    padded[:, 1, 1] = np.nan
    assert latency.summary("decode", padded, 1) == latency.summary("decode", full, 1)


def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(100):
        times = rng.lognormal(sigma=0.1, size=(2, 20, 1)) * np.array([2.0, 1.0])[:, None, None]
        _, low, high = latency.speedup(times, seed)
        covered += low <= 2.0 <= high
    assert 85 <= covered <= 100


def test_what_slows_both_sides_of_a_block_alike_does_not_widen_the_interval_of_a_paired_ratio() -> None:
    rng = np.random.default_rng(0)
    noise = rng.lognormal(sigma=0.02, size=(2, 16, 8))
    drift = np.linspace(1, 1.5, 16)[None, :, None]
    ratio, low, high = latency.speedup(noise * drift * np.array([1.5, 1.0])[:, None, None])
    assert ratio == pytest.approx(1.5, rel=0.05)
    assert high - low < 0.2


def test_steps_that_were_slow_together_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    slow_blocks = np.repeat(rng.lognormal(sigma=0.3, size=(2, 16, 1)), 8, axis=2)
    _, low, high = latency.speedup(slow_blocks)
    _, low_apart, high_apart = latency.speedup(rng.permuted(slow_blocks.reshape(2, 1, 128), axis=2).reshape(2, 128, 1))
    assert high - low > 1.5 * (high_apart - low_apart)


def test_the_same_times_give_the_same_interval() -> None:
    times = np.random.default_rng(0).lognormal(size=(2, 12, 1))
    assert latency.speedup(times, seed=5) == latency.speedup(times, seed=5)


# ---- how the sides take turns


class Recorder(nn.Module):
    """Stands in for a causal network; writes its name and how many tokens it was given, and keeps what it read."""

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        super().__init__()
        self.name, self.calls = name, calls
        self.weight = nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(vocab_size=50)

    def forward(self, input_ids: Tensor, **_: Any) -> Any:
        self.calls.append((self.name, input_ids.shape[1]))
        return SimpleNamespace(logits=torch.zeros(input_ids.shape[0], 1, 50), past_key_values="kept")


def turns(phase: Callable[..., Any]) -> list[tuple[str, int]]:
    calls: list[tuple[str, int]] = []
    phase([Recorder("dense", calls), Recorder("compressed", calls)], PROTOCOL, lambda: None)
    return calls


def test_prefill_takes_turns_in_alternating_order_after_a_warm_up() -> None:
    calls = turns(latency.prefill_blocks)
    assert calls[:2] == [("dense", 12), ("compressed", 12)]  # warm-up
    timed = [name for name, _ in calls[2:]]
    assert timed[:6] == ["dense", "compressed", "compressed", "dense", "dense", "compressed"]
    assert timed.count("dense") == timed.count("compressed") == latency.PREFILLS >= 10


def test_decoding_takes_turns_in_chunks_and_decodes_what_the_protocol_asks() -> None:
    calls = turns(latency.decode_blocks)
    steps = [name for name, tokens in calls if tokens == 1]
    assert steps[:2] == ["dense", "compressed"]  # warm-up
    assert steps[2:18] == ["dense"] * 8 + ["compressed"] * 8
    assert steps[18:22] == ["compressed"] * 2 + ["dense"] * 2
    per_round = PROTOCOL.decode_tokens + 1
    assert steps.count("dense") == steps.count("compressed") == latency.DECODE_ROUNDS * per_round


def test_times_of_a_short_last_chunk_are_padded() -> None:
    networks = [Recorder("dense", []), Recorder("compressed", [])]
    times = latency.decode_blocks(networks, PROTOCOL, lambda: None)
    assert times.shape == (2, latency.DECODE_ROUNDS * 2, latency.CHUNK)
    assert np.isfinite(times).sum(axis=(1, 2)).tolist() == [latency.DECODE_ROUNDS * PROTOCOL.decode_tokens] * 2


def test_the_prompt_is_the_same_for_the_same_protocol() -> None:
    network = llama()
    prompt = latency.prompt_tokens(network, PROTOCOL)
    assert prompt.shape == (2, 12)
    assert prompt.max() < 96
    assert torch.equal(prompt, latency.prompt_tokens(network, PROTOCOL))
    assert not torch.equal(prompt, latency.prompt_tokens(network, Protocol(seed=1, prompt_tokens=12, batch_size=2)))


def test_decoding_from_the_cache_continues_the_greedy_text() -> None:
    network = llama()
    prompt = latency.prompt_tokens(network, PROTOCOL)
    with torch.inference_mode():
        loop = latency._DecodeLoop(network, prompt)
        text = prompt
        for _ in range(5):
            text = torch.cat([text, loop._token], dim=1)
            loop.run()
            expected = network(input_ids=text).logits[:, -1:].argmax(-1)
            assert torch.equal(loop._token, expected)


# ---- the whole measurement


def test_every_metric_is_measured_and_progress_reaches_its_total(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch, 0.0)
    told: list[tuple[int, int]] = []
    timing = latency.measure(loads(4), loads(1), PROTOCOL, lambda done, total: told.append((done, total)))
    names = ("prefill_ms", "prefill_spread_ms", "decode_ms_per_token", "decode_spread_ms", "decode_tokens_per_s")
    ratios = [f"{phase}_speedup{end}" for phase in ("prefill", "decode") for end in ("", "_low", "_high")]
    assert set(timing.metrics) == {*names, *ratios}
    assert all(np.isfinite(value) for value in timing.metrics.values() if value is not None)
    assert timing.metrics["decode_speedup"] is not None
    assert timing.metrics["decode_speedup"] > 1  # a quarter of the blocks
    assert timing.facts["dense_decode_dtype"] in ("float32", "bfloat16")
    assert not timing.notes
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1]


def test_dense_is_timed_once_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch, 0.0)
    timing = latency.measure(loads(), None, PROTOCOL, lambda done, total: None)
    assert timing.metrics["decode_speedup"] == 1
    assert any("by definition" in note for note in timing.notes)
    assert "compressed_decode_dtype" not in timing.facts


def test_each_side_runs_in_its_faster_number_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """A side whose bf16 is slow to prefill and quick to decode is timed in fp32 and in bf16."""
    cost = {(12, torch.float32): 1.0, (12, torch.bfloat16): 4.0, (1, torch.float32): 2.0, (1, torch.bfloat16): 1.0}
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock.now)
    quiet(monkeypatch, 0.0)

    class Costly(Recorder):
        def forward(self, input_ids: Tensor, **_: Any) -> Any:
            clock.now += cost[input_ids.shape[1], self.weight.dtype]
            return super().forward(input_ids)

    timing = latency.measure(
        lambda dtype: Costly("dense", []).to(dtype),
        lambda dtype: Costly("c", []).to(dtype),
        PROTOCOL,
        lambda d, t: None,
    )
    assert timing.facts["dense_prefill_dtype"] == timing.facts["compressed_prefill_dtype"] == "float32"
    assert timing.facts["dense_decode_dtype"] == timing.facts["compressed_decode_dtype"] == "bfloat16"
    assert timing.metrics["prefill_ms"] == pytest.approx(1000)
    assert timing.metrics["decode_ms_per_token"] == pytest.approx(1000)
    assert timing.metrics["decode_speedup"] == pytest.approx(1)


@pytest.mark.parametrize(("bf16_ms", "expected"), [(96.0, "bfloat16"), (104.0, "bfloat16"), (107.0, "float32")])
def test_a_format_that_is_not_clearly_slower_stays_so_that_like_meets_like(
    monkeypatch: pytest.MonkeyPatch, bf16_ms: float, expected: str
) -> None:
    """Chance must not have one side decode in fp32 and the other in bf16."""
    step = {torch.float32: 0.1, torch.bfloat16: bf16_ms / 1000}
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock.now)
    quiet(monkeypatch, 0.0)

    class Costly(Recorder):
        def forward(self, input_ids: Tensor, **_: Any) -> Any:
            clock.now += step[self.weight.dtype]
            return super().forward(input_ids)

    timing = latency.measure(lambda dtype: Costly("dense", []).to(dtype), None, PROTOCOL, lambda d, t: None)
    assert timing.facts["dense_decode_dtype"] == expected


def test_one_number_format_at_a_time_is_in_memory() -> None:
    loaded: list[torch.dtype] = []

    def load(dtype: torch.dtype) -> nn.Module:
        loaded.append(dtype)
        return llama().to(dtype)

    side = latency.Side("dense", load)
    first = side.network(torch.float32)
    assert side.network(torch.float32) is first
    side.network(torch.bfloat16)
    assert loaded == [torch.float32, torch.bfloat16]
    assert side.network(torch.float32) is not first


# ---- beside other load


def test_a_disturbed_timing_is_repeated_and_the_quietest_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch, 0.9, 0.05, 0.0)  # prefill twice, decoding once
    told: list[tuple[int, int]] = []
    timing = latency.measure(loads(), None, PROTOCOL, lambda done, total: told.append((done, total)))
    assert timing.facts["prefill_other_cores"] == 0.05
    assert timing.facts["decode_other_cores"] == 0.0
    assert not any("Disturbed" in note for note in timing.notes)
    undisturbed = len(latency.DTYPES) + latency.PREFILLS + latency.DECODE_ROUNDS * 2
    assert told[-1] == (undisturbed + latency.PREFILLS,) * 2


def test_a_timing_that_stays_disturbed_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch, 0.9, 0.4, 0.6, 0.0)  # prefill three times, decoding once
    timing = latency.measure(loads(), None, PROTOCOL, lambda done, total: None)
    assert timing.facts["prefill_other_cores"] == 0.4
    (note,) = [note for note in timing.notes if "Disturbed" in note]
    assert "prefill" in note
    assert "40%" in note


def test_a_long_disturbed_timing_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch, 2.0)
    monkeypatch.setattr(latency, "PATIENCE_SECONDS", 0.0)
    told: list[tuple[int, int]] = []
    latency.measure(loads(), None, PROTOCOL, lambda done, total: told.append((done, total)))
    once = len(latency.DTYPES) + latency.PREFILLS + latency.DECODE_ROUNDS * 2
    assert told[-1] == (once, once)


def test_a_format_is_not_judged_by_a_first_run_that_made_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([900.0, 40.0, 30.0, 2000.0])
    monkeypatch.setattr(latency, "_milliseconds", lambda run, device: next(times))
    assert latency._quickest(lambda: None, torch.device("cpu")) == 30.0


@pytest.mark.parametrize(("units", "said"), [(True, torch.bfloat16), (False, torch.float32)])
def test_of_formats_alike_the_usual_one_is_timed_so_that_like_meets_like(
    units: bool, said: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "multiplies_bf16", lambda: units)
    assert latency._faster("prefill", {torch.float32: 100.0, torch.bfloat16: 98.0}) == said
    assert latency._faster("decode", {torch.float32: 98.0, torch.bfloat16: 100.0}) == torch.bfloat16
    assert latency._faster("prefill", {torch.float32: 50.0, torch.bfloat16: 98.0}) == torch.float32
