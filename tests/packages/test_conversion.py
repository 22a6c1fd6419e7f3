import json

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.network import sources
from engine.packages import conversion

HIDDEN, INTERMEDIATE, VOCABULARY = 64, 96, 260
SHAPES = {
    "token_embd": (VOCABULARY, HIDDEN),
    "blk.0.attn_q": (HIDDEN, HIDDEN),
    "blk.0.attn_k": (HIDDEN // 2, HIDDEN),
    "blk.0.attn_v": (HIDDEN // 2, HIDDEN),
    "blk.0.attn_output": (HIDDEN, HIDDEN),
    "blk.0.ffn_gate": (INTERMEDIATE, HIDDEN),
    "blk.0.ffn_up": (INTERMEDIATE, HIDDEN),
    "blk.0.ffn_down": (HIDDEN, INTERMEDIATE),
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A one-block random llama as a Q4_1 GGUF, converted; the folder and the quantized tensors."""
    folder = tmp_path_factory.mktemp("gguf")
    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<unk>", "<s>", "</s>", *(chr(0x100 + i) for i in range(VOCABULARY - 4)), "ĀĒ"])
    writer.add_token_merges(["Ā Ē"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    rng = np.random.default_rng(0)
    packed = {}
    for name, shape in SHAPES.items():
        packed[name] = gguf.quantize(rng.standard_normal(shape, np.float32), gguf.GGMLQuantizationType.Q4_1)
        writer.add_tensor(f"{name}.weight", packed[name], raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(HIDDEN, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    conversion.convert(folder / "tiny.gguf", folder / "out")
    return folder / "out", packed


def test_the_values_are_exactly_the_dequantized_ones_in_fp32(converted):
    folder, packed = converted
    tensors = load_file(folder / "model.safetensors")
    assert {str(tensor.dtype) for tensor in tensors.values()} == {"float32"}
    for ours, theirs in (("model.embed_tokens", "token_embd"), ("model.layers.0.mlp.down_proj", "blk.0.ffn_down")):
        expected = gguf.dequantize(packed[theirs], gguf.GGMLQuantizationType.Q4_1)
        assert np.array_equal(tensors[f"{ours}.weight"], expected)


def test_the_folder_says_nothing_of_quantization_and_loads_plainly(converted, tmp_path, monkeypatch):
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))
    folder, _ = converted
    config = json.loads((folder / "config.json").read_text())
    assert not {"quantization_config", "_model_name_or_path"} & set(config)
    network = AutoModelForCausalLM.from_pretrained(folder)
    assert not getattr(network, "hf_quantizer", None)
    assert AutoTokenizer.from_pretrained(folder).bos_token == "<s>"
    assert sources.resolve(str(folder)).parameters == sum(p.numel() for p in network.parameters())
