from engine.checkpoints import fp32
from engine.layers.packed_linear import PackedLinear
from engine.methods import compress
from engine.models import LanguageModel
from engine.spec import parse


def test_evaluating_leaves_the_model_packed(tiny_llama: LanguageModel) -> None:
    compress(tiny_llama, parse("quantize:rtn,bits=4,targets=linears+head"), None, lambda *_: None)
    network = fp32.dequantized(tiny_llama)
    assert isinstance(tiny_llama.anatomy.output, PackedLinear)
    assert network.lm_head.weight is network.model.embed_tokens.weight
    norm = tiny_llama.anatomy.final_norm.weight
    assert network.model.norm.weight.data_ptr() == norm.data_ptr()  # what is not packed is not copied
