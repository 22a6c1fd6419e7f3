"""The reference is lm-evaluation-harness itself, on the same random weights."""

import math

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engine.errors import InputError
from engine.measure import zero_shot
from engine.tasks.task import Item, item

TEXT = [
    "The quick brown fox jumps over the lazy dog.",
    "Question: how do you cool hot soup?\nAnswer: blow on it, yes or no",
]
ITEMS = [
    item(0, "Question: how do you cool soup?\nAnswer:", ("blow on it", "jump over the lazy dog."), 0),
    item(1, "The quick brown fox is ", ("a dog ", "over  it", "hot"), 2),  # the trailing space moves
    item(2, "The dog, yes or no\nAnswer:", ("no", "yes"), 1),
    item(3, "The " + "quick brown fox jumps " * 30, ("A", "B", "C", "D"), 3),  # cut from the left
    Item(4, (("The fox", " jumps over it."), ("The lazy dog", " jumps over it.")), ("fox", "lazy dog"), 0),
    item(5, "", ("hot soup", "The fox"), 0),
    item(6, "<s>The fox", ("jumps", "soup"), 0),  # begins with the first special token already
]


def make_tokenizer(*, adds_bos: bool) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")


@pytest.fixture(scope="module")
def network() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        initializer_range=0.4,
    )
    return LlamaForCausalLM(config).eval()


def reference(network, tokenizer, items) -> list[float]:
    harness = HFLM(pretrained=network, tokenizer=tokenizer, batch_size=2)
    requests = [Instance("loglikelihood", {}, pair, i) for one in items for i, pair in enumerate(one.requests)]
    return [score for score, _ in harness.loglikelihood(requests, disable_tqdm=True)]


@pytest.mark.parametrize("adds_bos", [False, True])
def test_log_likelihoods_equal_lm_evals(network, adds_bos):
    tokenizer = make_tokenizer(adds_bos=adds_bos)
    answers = zero_shot.evaluate(network, tokenizer, ITEMS)
    ours = [score for answer in answers for score in answer["loglikelihoods"]]
    assert ours == pytest.approx(reference(network, tokenizer, ITEMS), abs=1e-3)


class Capped(LlamaForCausalLM):
    """A network whose logits are not what its head gives, as Gemma's are."""

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.logits = 3 * torch.tanh(output.logits / 3)
        return output


def test_a_network_whose_head_is_not_the_end_is_run_whole(network):
    capped = Capped(network.config).eval()
    capped.load_state_dict(network.state_dict())
    assert zero_shot.Logits(network).head is not None
    assert zero_shot.Logits(capped).head is None
    tokenizer = make_tokenizer(adds_bos=False)
    answers = zero_shot.evaluate(capped, tokenizer, ITEMS)
    ours = [score for answer in answers for score in answer["loglikelihoods"]]
    assert ours == pytest.approx(reference(capped, tokenizer, ITEMS), abs=1e-3)


def test_a_head_of_another_kind_is_used_as_it_is(network):
    class Mixed(nn.Module):
        def __init__(self, projection):
            super().__init__()
            self.projection = projection

        def forward(self, hidden):
            return self.projection(2 * hidden)

    other = LlamaForCausalLM(network.config).eval()
    other.load_state_dict(network.state_dict())
    other.set_output_embeddings(Mixed(other.get_output_embeddings()))
    tokenizer = make_tokenizer(adds_bos=False)
    answers = zero_shot.evaluate(other, tokenizer, ITEMS[:3])
    ours = [score for answer in answers for score in answer["loglikelihoods"]]
    assert ours == pytest.approx(reference(other, tokenizer, ITEMS[:3]), abs=1e-3)


def test_choices_that_differ_in_their_last_token_share_one_pass():
    tokenizer = make_tokenizer(adds_bos=False)
    passes = zero_shot._passes([ITEMS[3]], zero_shot.Encoder(tokenizer), 64)
    assert [len(one.scored) for one in passes] == [4]
    assert len(passes[0].tokens) == 64


def test_batches_hold_every_pass_within_the_budget():
    passes = [zero_shot._Pass(tuple(range(n))) for n in (50, 30, 20, 9, 9, 9, 1)]
    batches = list(zero_shot._batches(passes, 40))
    assert [one for batch in batches for one in batch] == passes
    assert all(len(batch) == 1 or len(batch) * len(batch[0].tokens) <= 40 for batch in batches)


def test_progress_counts_items_and_ends_at_all(network):
    told = []
    zero_shot.evaluate(network, make_tokenizer(adds_bos=False), ITEMS, lambda done, total: told.append((done, total)))
    assert told[-1] == (7, 7)
    assert told == sorted(told)


def test_an_item_longer_than_the_model_is_refused(network):
    long = item(9, "a", ("fox " * 200, "b"), 0)
    with pytest.raises(InputError, match=r"item 9, choice 0: .* the model reads 64"):
        zero_shot.evaluate(network, make_tokenizer(adds_bos=False), [long])


def test_ties_go_to_the_first_and_characters_normalise():
    one = item(3, "c", ("aa", "b", "cc"), 1)
    answer = zero_shot._answer(one, [-2.0, -2.0, -1.5])
    assert (answer["choice"], answer["choice_norm"], answer["correct"]) == (2, 2, False)
    tie = zero_shot._answer(one, [-2.0, -2.0, -9.0])
    assert (tie["choice"], tie["choice_norm"], tie["correct"]) == (0, 0, False)


def test_what_is_not_a_number_is_no_answer():
    answer = zero_shot._answer(ITEMS[0], [math.nan, -1.0])
    assert (answer["choice"], answer["choice_norm"], answer["correct"]) == (None, None, False)
    empty = zero_shot._answer(item(0, "c", ("", "b"), 1), [-1.0, -2.0])
    assert (empty["choice"], empty["choice_norm"]) == (0, 1)


def test_metrics_are_macro_means_with_acc_where_no_norm_is_defined():
    two = [item(0, "c", ("aaaa", "b"), 0), item(1, "c", ("aaaa", "b"), 0)]
    answers = [zero_shot._answer(two[0], [-2.0, -1.0]), zero_shot._answer(two[1], [-1.0, -2.0])]
    found = zero_shot.metrics({"piqa": (two, answers), "boolq": (two, answers)})
    assert found == {
        "accuracy_piqa": 0.5,
        "accuracy_norm_piqa": 1.0,
        "accuracy_boolq": 0.5,
        "accuracy_norm_boolq": 0.5,
        "accuracy": 0.5,
        "accuracy_norm": 0.75,
        "accuracy_chance": 1.0,
    }
