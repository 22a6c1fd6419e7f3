"""llm-compressor's side of `tests/benchmarks/gptq_peer.py`: one setting in a process of its own, with its interpreter.

Reads {"folder": model folder, "bits": N, "group_size": N, "threads": N, "calibration": [[…], …], "held_out": [[…], …]}
from standard input; writes {"seconds": wall seconds of `oneshot`, "processor_seconds": …, "dense": perplexity before,
"perplexity": after, "versions": {…}} as its last line. Imports nothing of ours: its transformers is another.
"""

import json
import math
import sys
import time
from typing import Any

import llmcompressor
import torch
import transformers
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from torch import Tensor, nn
from torch.nn import functional


def main() -> None:
    asked = json.load(sys.stdin)
    torch.set_num_threads(asked["threads"])
    model = transformers.AutoModelForCausalLM.from_pretrained(asked["folder"], dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(asked["folder"])
    held_out = torch.tensor(asked["held_out"])
    found: dict[str, Any] = {"dense": perplexity(model, held_out)}
    wall, processors = time.perf_counter(), time.process_time()
    oneshot(
        model=model,
        tokenizer=tokenizer,
        dataset=calibration(asked["calibration"]),
        recipe=modifier(asked["bits"], asked["group_size"]),
        num_calibration_samples=len(asked["calibration"]),
        max_seq_length=len(asked["calibration"][0]),
        shuffle_calibration_samples=False,
    )
    found |= {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processors}
    found["perplexity"] = perplexity(model, held_out)
    packages = (llmcompressor, torch, transformers)
    found["versions"] = {package.__name__: package.__version__ for package in packages}
    print(json.dumps(found))


def calibration(windows: list[list[int]]) -> Dataset:
    return Dataset.from_list([{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in windows])


def modifier(bits: int, group_size: int) -> GPTQModifier:
    """Symmetric whole numbers in groups, all linears but the head; everything else is its default."""
    weights = {"num_bits": bits, "type": "int", "symmetric": True, "strategy": "group", "group_size": group_size}
    return GPTQModifier(ignore=["lm_head"], config_groups={"group_0": {"targets": ["Linear"], "weights": weights}})


@torch.inference_mode()
def perplexity(model: nn.Module, windows: Tensor) -> float:
    """Over all tokens of all windows but each one's first."""
    losses = []
    for window in windows:
        logits = model(input_ids=window[None], use_cache=False).logits[0, :-1].float()
        losses.append(functional.cross_entropy(logits, window[1:], reduction="none"))
    return math.exp(float(torch.cat(losses).double().mean()))


if __name__ == "__main__":
    main()
