"""The perplexity measure of a trial: next tokens on a text and greedy continuations, each beside the dense model's.

The dense model's side comes from the cache; the first trial of a comparison finds it out, before it compresses the
network in place. Stages, progress and metrics go out through the trial's events.
"""

from pathlib import Path

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from engine import calibration, models
from engine.measure import dense_logits, greedy_match, perplexity, references
from engine.measure.dense_logits import DenseLogits
from engine.measure.perplexity import Reading
from engine.measure.references import Reference
from engine.network.sources import Source
from engine.spec import Trial
from engine.system.events import Events

RAN_AGAIN = "The original model ran again beside this one for the divergence: its head can't be applied apart."


class NextWords:
    """What one trial's perplexity measure reads, and the dense model's side of it.

    windows: [windows, T] of the protocol's text; prompts: [prompts, tokens], beginnings of held-out passages; head: the
    file that keeps the dense head meanwhile. Raises InputError where a text is missing or too short.
    """

    def __init__(
        self, trial: Trial, source: Source, tokenizer: PreTrainedTokenizerBase, head: Path, events: Events
    ) -> None:
        protocol = trial.protocol
        shape = (greedy_match.PROMPTS, greedy_match.PROMPT_TOKENS)
        self.trial, self.source, self.head, self.events = trial, source, head, events
        self.tokenizer = tokenizer
        self.windows = calibration.perplexity_windows(
            tokenizer, protocol, Path(trial.data_dir) if trial.data_dir else None
        )
        self.prompts = calibration.heldout_prompts(tokenizer, *shape, protocol.seed)
        self.reference: Reference | None = None

    def read_dense(self, network: nn.Module) -> None:
        """Have the dense model's side, from the cache or from its network, and keep its head.

        The dense trial needs nothing before it measures.
        """
        if not self.trial.recipe.steps:
            return
        count, length = self.windows.shape
        written = (len(self.prompts), greedy_match.TOKENS)
        self.reference = references.load(self.trial.comparison_id, (count, length - 1), written)
        if self.reference is None:
            self.events.stage("dense reference", count)
            reading = perplexity.read(network, self.windows, self.events.progress, keep_states=True)
            self.reference = self._keep(network, reading)
        if self.reference.states is not None:
            dense_logits.keep_head(network, self.head)

    def measure(self, network: nn.Module) -> Tensor:
        """Measure the network that stands for the trial's model in fp32: its likeliest tokens [windows, T - 1]."""
        self.events.stage("perplexity", len(self.windows))
        if self.reference is None:
            return self._measure_dense(network)
        dense = self._dense_logits(self.reference)
        reading = perplexity.read(network, self.windows, self.events.progress, dense)
        compared = perplexity.compare(reading, self.reference.loss, self.reference.argmax)
        self.events.metrics({**perplexity.metrics(reading), **compared.metrics}, compared.reasons)
        self.events.stage("greedy continuations", greedy_match.TOKENS)
        written = greedy_match.continuations(network, self.prompts, self.events.progress)
        self.events.metrics(greedy_match.metrics(written, self.reference.continuations))
        self._tell(written)
        return reading.argmax

    def _measure_dense(self, network: nn.Module) -> Tensor:
        """The dense trial's side is what others are compared with; its own comparisons are true by definition."""
        reading = perplexity.read(network, self.windows, self.events.progress, keep_states=True)
        self.events.metrics({**perplexity.metrics(reading), **perplexity.SELF, **greedy_match.SELF})
        self._tell(self._keep(network, reading).continuations)
        return reading.argmax

    def _tell(self, written: Tensor) -> None:
        self.events.texts(text.to_dict() for text in greedy_match.texts(self.tokenizer, self.prompts, written))

    def _keep(self, network: nn.Module, reading: Reading) -> Reference:
        self.events.stage("dense continuations", greedy_match.TOKENS)
        written = greedy_match.continuations(network, self.prompts, self.events.progress)
        states = None if reading.states is None else references.compact(reading.states)
        reference = Reference(reading.argmax, reading.loss, states, written)
        references.save(self.trial.comparison_id, reference)
        return reference

    def _dense_logits(self, reference: Reference) -> DenseLogits:
        """From the kept states, or of the model loaded once more where its head needs the rest."""
        device = self.trial.protocol.device
        if reference.states is not None:
            return dense_logits.from_head(self.head, reference.states, device)
        self.events.note(RAN_AGAIN)
        dense = models.load_to_run(self.source, device)
        return dense_logits.from_network(dense.network, self.windows, dense.device)
