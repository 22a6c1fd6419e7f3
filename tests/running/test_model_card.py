"""The model card of an export."""

from dataclasses import replace

import yaml

from engine.analysis.front import is_dense
from engine.analysis.results import analyse
from engine.running.model_card import model_card
from engine.spec import parse
from engine.store import Store
from tests.pages import filling

TRIALS = filling.make_trials(("dense", "quantize:rtn,bits=4", "quantize:rtn,bits=3"))
FOUR = TRIALS[1]


def front_matter(card: str) -> dict[str, object]:
    return yaml.safe_load(card.split("---\n")[1])


def test_it_names_base_licence_recipe_and_results_with_their_intervals(store: Store) -> None:
    filling.fill(store, TRIALS)
    rows = analyse(store.rows(), store.items)
    dense = next(row for row in rows if is_dense(row))
    card = model_card(FOUR, "plain", next(row for row in rows if row.trial_id == FOUR.id), dense)
    assert front_matter(card)["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert front_matter(card)["license"] == "apache-2.0"
    for part in (FOUR.recipe.text, FOUR.weights_sha256, FOUR.id, "| Accuracy |", "269 MB", "Test CPU", "4-bit grid"):
        assert part in card
    held = model_card(TRIALS[2], "packed", next(row for row in rows if row.simulated), dense)
    assert "Simulated" in held


def test_what_was_not_measured_is_not_claimed() -> None:
    card = model_card(FOUR, "packed")
    assert "Nothing was measured of this model here." in card
    assert "| Accuracy" not in card


def test_what_plain_files_cannot_hold_is_said() -> None:
    eight = replace(FOUR, recipe=parse("quantize:smoothquant | quantize:kv_cache,bits=4"))
    assert "the rounding of activations to 8 bits and the rounding of the KV cache" in model_card(eight, "plain")
    assert "can't hold" not in model_card(eight, "packed")
    assert "can't hold" not in model_card(FOUR, "plain")


def test_of_another_model_no_licence_is_invented_and_no_path_is_told() -> None:
    mine = replace(FOUR, model="/home/someone/models/a_b")
    card = model_card(mine, "plain")
    assert "license" not in front_matter(card)
    assert "/home/someone" not in card
    assert "a\\_b" in card
    assert "own licence holds" in card
    hub = model_card(replace(FOUR, model="owner/name", revision="abc"), "plain")
    assert front_matter(hub)["base_model"] == "owner/name"
    assert "revision abc" in hub
