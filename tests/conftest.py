"""An empty store, and tiny random models of every family with a tiny tokenizer, saved as Hugging Face folders."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from torch import Tensor
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from engine import models, trials
from engine.models import LanguageModel
from engine.network.sources import Source
from engine.store import Queue, Store

pytest_plugins = ["tests.tiny_trial"]  # its fixtures

SIZES = {
    "vocab_size": 264,
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 16,  # slicing leaves widths that 16 does not divide
    "num_key_value_heads": 4,
    "head_dim": 8,  # query heads are wider together than the residual stream, as in qwen3
    "max_position_embeddings": 512,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 257,
}
NETWORKS = {
    "llama": (LlamaForCausalLM, LlamaConfig, {"tie_word_embeddings": True}),
    "mistral": (MistralForCausalLM, MistralConfig, {"tie_word_embeddings": False, "sliding_window": None}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {"tie_word_embeddings": True, "max_window_layers": 3}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {"tie_word_embeddings": False, "max_window_layers": 3}),
}
FAMILIES = tuple(NETWORKS)  # alike but for details: every test of `each_family` runs on them
_EVEN = {"num_attention_heads": 8, "num_key_value_heads": 4, "num_hidden_layers": 3}
_WHOLE = {"num_hidden_layers": 3, "num_attention_heads": 8}
_LAYERS = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "sliding_window": 8}
OTHERS = {
    "gemma": (GemmaForCausalLM, GemmaConfig, _EVEN),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config, _EVEN | _LAYERS | {"query_pre_attn_scalar": 16}),
    "gemma3_text": (Gemma3ForCausalLM, Gemma3TextConfig, _EVEN | _LAYERS | {"tie_word_embeddings": False}),
    "phi": (PhiForCausalLM, PhiConfig, _EVEN),
    "phi3": (Phi3ForCausalLM, Phi3Config, _EVEN),
    "opt": (OPTForCausalLM, OPTConfig, _WHOLE | {"ffn_dim": 192}),
    "gpt2": (GPT2LMHeadModel, GPT2Config, {"n_inner": 192, "n_positions": 512} | _WHOLE),
    "gpt_neox": (GPTNeoXForCausalLM, GPTNeoXConfig, _WHOLE),
}


@pytest.fixture(autouse=True)
def _own_cache(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep tests off the user's cache, except those of the model and the data that `fetch` left there."""
    if not request.node.get_closest_marker("fetched"):
        monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models that tests make up can be loaded; of real ones a process would be asked, see test_loadable."""
    monkeypatch.setattr(trials, "refuse_unloadable", lambda source: None)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny tensors run faster on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store whose clock ticks once a look."""
    ticks = itertools.count(1000)
    opened = Store(url, clock=lambda: float(next(ticks)))
    yield opened
    opened.close()


@pytest.fixture
def queue(store: Store) -> Iterator[Queue]:
    with Queue(store) as opened:
        yield opened


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and two special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({token: i for i, token in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="session")
def tiny_folder(
    tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: PreTrainedTokenizerFast
) -> Callable[[str], Path]:
    """family -> folder of a tiny random model whose weights are numbers that bf16 holds exactly."""
    root = tmp_path_factory.mktemp("models")

    def folder(family: str) -> Path:
        path = root / family
        if not path.exists():
            network_class, config_class, more = (NETWORKS | OTHERS)[family]
            with torch.random.fork_rng():
                torch.manual_seed(len(family))
                network = network_class(config_class(**SIZES | more))
                for name, parameter in network.named_parameters():
                    noise = torch.randn_like(parameter)
                    changed = 1 + 0.3 * noise if _is_gain(name) else 0.15 * noise
                    parameter.data = changed.bfloat16().float()
            network.save_pretrained(path)
            tiny_tokenizer.save_pretrained(path)
        return path

    return folder


@pytest.fixture
def tiny_model(tiny_folder: Callable[[str], Path]) -> Callable[[str], LanguageModel]:
    """family -> a fresh tiny random model, loaded in fp32."""

    def load(family: str) -> LanguageModel:
        return models.load(source_of(tiny_folder(family), family))

    return load


@pytest.fixture
def tiny_llama(tiny_model: Callable[[str], LanguageModel]) -> LanguageModel:
    return tiny_model("llama")


@pytest.fixture(params=FAMILIES)
def each_family(request: pytest.FixtureRequest, tiny_model: Callable[[str], LanguageModel]) -> LanguageModel:
    """A fresh tiny model of each family in turn."""
    return tiny_model(request.param)


@pytest.fixture
def windows() -> Tensor:
    """Random tokens [4, 32]."""
    return torch.randint(0, 256, (4, 32), generator=torch.Generator().manual_seed(1))


def source_of(folder: Path, family: str) -> Source:
    """The source of a folder, without the checks and the cache of `sources.resolve`."""
    parameters = sum(t.numel() for t in load_file(folder / "model.safetensors").values())
    return Source(folder.name, folder, None, "0" * 64, family, parameters, {})


def _is_gain(name: str) -> bool:
    """Whether a parameter is what a norm multiplies by."""
    return name.endswith(".weight") and any(part in name for part in ("norm", ".ln_"))
