"""A GGUF file to a Hugging Face folder of fp32 safetensors, exactly its dequantized values.

    python -m engine.packages.conversion FILE.gguf FOLDER

Runs as a child process of `assets.fetch`: it needs torch, which the caller must not import, and its memory goes with
it. fp32 keeps every value of the GGUF's scales, so other tools that read the folder measure the same model.
"""

import sys
from pathlib import Path

from engine.system.child import exit_with_parent


def convert(gguf: Path, folder: Path) -> None:
    """Write `folder` with config.json, model.safetensors and the tokenizer of a GGUF file of a causal LM."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    network = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    _forget_quantization(network)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors are written for their owner alone


def _forget_quantization(network: object) -> None:
    """The weights are plain now; what says otherwise would have the saver and every reader treat them as packed."""
    config = network.config  # type: ignore[attr-defined]
    for name in ("quantization_config", "_model_name_or_path"):
        if hasattr(config, name):
            delattr(config, name)
    for name in ("hf_quantizer", "is_quantized", "quantization_method"):
        if name in vars(network):
            delattr(network, name)


if __name__ == "__main__":
    exit_with_parent()
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
