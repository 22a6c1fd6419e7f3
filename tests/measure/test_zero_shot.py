"""The reference is lm-evaluation-harness itself, on the same random weights."""

import math
from functools import partial

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast

from engine import stats
from engine.errors import InputError
from engine.measure import zero_shot
from engine.measure.logits import Logits
from engine.measure.tree_scores import Score
from engine.measure.zero_shot import Evaluator, refuse_unscorable
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


SMALL = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.4,
}


@pytest.fixture(scope="module")
def network() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True)).eval()


def reference(network, tokenizer, items, batch_size=2) -> list[float]:
    harness = HFLM(pretrained=network, tokenizer=tokenizer, batch_size=batch_size)
    requests = [Instance("loglikelihood", {}, pair, i) for one in items for i, pair in enumerate(one.requests)]
    return [score for score, _ in harness.loglikelihood(requests, disable_tqdm=True)]


@pytest.mark.parametrize("adds_bos", [False, True])
def test_log_likelihoods_equal_lm_evals(network, adds_bos):
    tokenizer = make_tokenizer(adds_bos=adds_bos)
    answers = Evaluator(network, tokenizer).answer(ITEMS)
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
    assert Logits(network).head is not None
    assert Logits(capped).head is None
    tokenizer = make_tokenizer(adds_bos=False)
    answers = Evaluator(capped, tokenizer).answer(ITEMS)
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
    answers = Evaluator(other, tokenizer).answer(ITEMS[:3])
    ours = [score for answer in answers for score in answer["loglikelihoods"]]
    assert ours == pytest.approx(reference(other, tokenizer, ITEMS[:3]), abs=1e-3)


class Biased(nn.Module):
    """An attention mask that the network looks away from, as one with ALiBi would."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, input_ids, use_cache=False, **_):
        return self.body(input_ids=input_ids, use_cache=use_cache)


def test_where_sharing_is_not_exact_every_sequence_runs_alone_and_it_is_said(network):
    other = LlamaForCausalLM(network.config).eval()
    other.load_state_dict(network.state_dict())
    other.model = Biased(other.model)
    tokenizer = make_tokenizer(adds_bos=False)
    evaluator = Evaluator(other, tokenizer)
    answers = evaluator.answer(ITEMS)
    assert not evaluator.shares
    assert "'llama'" in evaluator.note
    ours = [score for answer in answers for score in answer["loglikelihoods"]]
    assert ours == pytest.approx(reference(network, tokenizer, ITEMS), abs=1e-3)


def test_a_long_question_turns_no_other_questions_positions():
    """Phi-3's long form has rotary factors of its own beyond a length, which the longest of a batch decides for all."""
    torch.manual_seed(0)
    factors = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "rope_theta": 10000.0}
    config = Phi3Config(**SMALL, original_max_position_embeddings=24, rope_parameters=factors, pad_token_id=1)
    turned, tokenizer = Phi3ForCausalLM(config).eval(), make_tokenizer(adds_bos=False)
    items = [*ITEMS, item(7, "The quick brown fox", ("jumps", "jumps over the lazy dog. " * 6), 0)]  # on both sides
    answers = Evaluator(turned, tokenizer).answer(items)
    ours = [score for answer in answers for score in answer["loglikelihoods"]]
    assert ours == pytest.approx(reference(turned, tokenizer, items, batch_size=1), abs=1e-3)


def test_letters_cost_no_token_beyond_their_context(network):
    evaluator = Evaluator(network, make_tokenizer(adds_bos=False))
    evaluator.answer([ITEMS[3]])
    assert (evaluator.work.nodes, evaluator.work.separate) == (64, 4 * 64)


def test_progress_counts_items_and_ends_at_all(network):
    told = []
    evaluator = Evaluator(network, make_tokenizer(adds_bos=False))
    evaluator.budget = 1  # a batch for every row
    evaluator.answer(ITEMS, lambda done, total: told.append((done, total)))
    assert told[-1] == (7, 7)
    assert told == sorted(told)


def test_an_item_longer_than_the_model_is_refused(network):
    tokenizer = make_tokenizer(adds_bos=False)
    long, empty = item(9, "a", ("fox " * 200, "b"), 0), Item(9, (("a", ""),), ("",), 0)
    for refuse in (Evaluator(network, tokenizer).answer, partial(refuse_unscorable, network, tokenizer)):
        with pytest.raises(InputError, match=r"item 9, choice 0: \d+ tokens to score, and .* at most 64 at once"):
            refuse([*ITEMS, long])
        with pytest.raises(InputError, match="0 to score; each needs one at least"):
            refuse([*ITEMS, empty])
    refuse_unscorable(network, tokenizer, ITEMS)


def scores(*sums: float, greedy: bool = False) -> list[Score]:
    return [Score(value, greedy) for value in sums]


def test_ties_go_to_the_first_and_characters_normalise():
    one = item(3, "c", ("aa", "b", "cc"), 1)
    answer = zero_shot._answer(one, scores(-2.0, -2.0, -1.5))
    assert (answer["choice"], answer["choice_norm"], answer["correct"]) == (2, 2, False)
    tie = zero_shot._answer(one, scores(-2.0, -2.0, -9.0))
    assert (tie["choice"], tie["choice_norm"], tie["correct"]) == (0, 0, False)


def test_what_is_not_a_number_is_no_answer():
    answer = zero_shot._answer(ITEMS[0], scores(math.nan, -1.0))
    assert (answer["choice"], answer["choice_norm"], answer["correct"]) == (None, None, False)
    empty = zero_shot._answer(item(0, "c", ("", "b"), 1), scores(-1.0, -2.0))
    assert (empty["choice"], empty["choice_norm"]) == (0, 1)


@pytest.mark.parametrize("greedy", [False, True])
def test_without_choices_right_is_what_the_model_itself_would_say(greedy):
    last = Item(4, (("The lazy", " dog."),), ("dog.",), None)
    answer = zero_shot._answer(last, scores(-2.0, greedy=greedy))
    assert (answer["choice"], answer["correct"], answer["correct_norm"]) == (None, greedy, greedy)


def test_greedy_is_what_lm_eval_calls_greedy(network):
    tokenizer = make_tokenizer(adds_bos=False)
    text = "The quick brown"
    tokens = tokenizer(text, return_tensors="pt")["input_ids"]
    written = tokenizer.decode(network.generate(tokens, max_new_tokens=2, do_sample=False)[0, tokens.shape[1] :])
    last = [Item(i, ((text, words),), (words,), None) for i, words in enumerate((written, " soup"))]
    harness = HFLM(pretrained=network, tokenizer=tokenizer, batch_size=1)
    theirs = harness.loglikelihood([Instance("loglikelihood", {}, one.requests[0], 0) for one in last], True)
    ours = Evaluator(network, tokenizer).answer(last)
    assert [answer["correct"] for answer in ours] == [greedy for _, greedy in theirs]


def test_metrics_are_macro_means_with_acc_where_no_norm_is_defined():
    two = [item(0, "c", ("aaaa", "b"), 0), item(1, "c", ("aaaa", "b"), 0)]
    answers = [zero_shot._answer(two[0], scores(-2.0, -1.0)), zero_shot._answer(two[1], scores(-1.0, -2.0))]
    found = zero_shot.metrics({"piqa": (two, answers), "boolq": (two, answers)})
    assert found == {
        "accuracy_piqa": 0.5,
        "accuracy_norm_piqa": 1.0,
        "accuracy_chance_piqa": 0.5,
        "accuracy_chance_boolq": 0.5,
        "accuracy_boolq": 0.5,
        "accuracy_norm_boolq": 0.5,
        "accuracy": 0.5,
        "accuracy_norm": 0.75,
        "accuracy_chance": 0.5,
    }


def test_groups_have_an_accuracy_of_their_own():
    first = Item(0, (("", "a b"), ("", "b a")), ("a b", "b a"), 0, group="binding")
    second = Item(1, (("", "a c"), ("", "c a")), ("a c", "c a"), 0, group="ellipsis")
    answers = [zero_shot._answer(first, scores(-1.0, -2.0)), zero_shot._answer(second, scores(-2.0, -1.0))]
    found = zero_shot.metrics({"blimp": ([first, second], answers)})
    assert (found["accuracy_blimp_binding"], found["accuracy_blimp_ellipsis"], found["accuracy_blimp"]) == (1, 0, 0.5)
    assert found["accuracy_blimp_binding_low"] == pytest.approx(1 / (1 + stats.Z**2))  # Wilson's, of one right in one
    assert found["accuracy_blimp_binding_high"] == 1


def test_a_task_without_choices_has_a_perplexity():
    last = [Item(0, (("a", " b"),), ("b",), None), Item(1, (("a", " c"),), ("c",), None)]
    answers = [zero_shot._answer(last[0], scores(-1.0, greedy=True)), zero_shot._answer(last[1], scores(-3.0))]
    found = zero_shot.metrics({"lambada_openai": (last, answers)})
    assert found["perplexity_lambada_openai"] == pytest.approx(math.exp(2.0))
    assert found["accuracy_lambada_openai"] == 0.5
