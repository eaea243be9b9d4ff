"""The compact model: Llama-shaped, some five million parameters, pretrained on the catalogue's own texts.

It makes the language stage whole where no model can be had from elsewhere.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynmm.errors import ConfigError, TrainingDiverged
from dynmm.language.corpus import Corpus, held_apart, stream
from dynmm.language.layout import Layout
from dynmm.language.pacing import Pace, Spent
from dynmm.language.vocabulary import (
    BEGINNING_ID,
    ENDING_ID,
    PADDING_ID,
    encode_texts,
    save_tokenizer,
    train_tokenizer,
)
from dynmm.language.writing import ASKING, SYSTEM
from dynmm.precision import autocast, product_precision
from dynmm.randomness import derive_seed
from dynmm.storage import named_disk_errors, new_folder
from dynmm.transformers_library import quiet, transformers

logger = logging.getLogger(__name__)

#: Told after each step: (steps done, steps planned, training loss in nats).
OnProgress = Callable[[int, int, float], None]
VOCABULARY, CONTEXT = 4_096, 1_024
#: A text that is met so often becomes whole words even beside few others.
_MET_OFTEN = 4


@dataclass(frozen=True)
class CompactShape:
    """Of the model and its training; the defaults were chosen by held-out bits per byte at a fixed time."""

    hidden: int = 256
    layers: int = 5
    heads: int = 4
    inner: int = 688
    vocabulary: int = VOCABULARY
    window: int = 512
    batch: int = 1
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1
    #: Most times that any text is read: a small catalogue would be learnt by heart.
    epochs: int = 12

    def __post_init__(self) -> None:
        """Raise ConfigError where heads cannot share the width; a head turns its numbers in pairs."""
        if self.heads < 1 or self.hidden < 1 or self.hidden % (2 * self.heads):
            raise ConfigError(
                f"the compact model's width {self.hidden} cannot be split into pairs among {self.heads} heads; choose "
                "a multiple of twice the heads"
            )


@dataclass(frozen=True)
class CompactReport:
    """How the pretraining went. perplexity: of held-out texts, by token; None where there was only one text.

    bits_per_byte: the same in a measure that does not depend on the vocabulary. steps: of training, which give the
    same model again. tokens: read in training. seconds: in all. parameters: of the model. vocabulary: its tokens.
    """

    perplexity: float | None
    bits_per_byte: float | None
    steps: int
    tokens: int
    seconds: float
    parameters: int
    vocabulary: int


def pretrain_compact(
    texts: Sequence[str],
    folder: Path,
    *,
    seconds: float,
    seed: int,
    steps: int | None = None,
    device: str = "cpu",
    on_progress: OnProgress | None = None,
    shape: CompactShape | None = None,
) -> CompactReport:
    """Pretrain a model on texts and save it with its tokenizer as an ordinary folder of the transformers library.

    seconds: time in all, as `Pace` counts it, for which steps are planned by measuring a few. steps: that many
    instead; the same texts, seed and steps give the same bits on the same machine. Raises UnsupportedByData where
    there is no text, TrainingDiverged, StorageError, MissingExtraError.
    """
    began, pace, shape = time.monotonic(), Pace(seconds, torch.device(device)), shape or CompactShape()
    corpus = held_apart(texts, derive_seed(seed, "compact"))
    tokenizer = train_tokenizer([*corpus.training, *prompt_texts(len(corpus.training))], shape.vocabulary)
    documents = _documents(tokenizer, corpus.training)
    trainer = _Pretraining(shape, tokenizer.get_vocab_size(), documents, torch.device(device), seed)
    held = _documents(tokenizer, corpus.held_out)
    if steps is None:
        steps = trainer.planned_steps(pace)
    logger.info("pretraining the compact model for %d steps of %d tokens", steps, trainer.step_tokens)
    model = trainer.fitted(steps, on_progress)
    with new_folder(folder) as beside:
        _save(model, beside)
        save_tokenizer(tokenizer, beside, CONTEXT)
    nats = trainer.loss_of(model, held)
    return CompactReport(
        perplexity=None if nats is None else math.exp(nats / _predicted(held)),
        bits_per_byte=None if nats is None else nats / math.log(2) / _bytes(corpus),
        steps=steps,
        tokens=steps * trainer.step_tokens,
        seconds=time.monotonic() - began,
        parameters=sum(one.numel() for one in model.parameters()),
        vocabulary=tokenizer.get_vocab_size(),
    )


def prompt_texts(count: int) -> list[str]:
    """What prompts are made of, beside so many texts of a catalogue: often enough to be read in whole words.

    Without them the prompt is spelled in pieces, some 50 tokens instead of 26, in every question.
    """
    layouts = (Layout(shown="segment"), Layout(shown="none"))
    pieces = [text for layout in layouts for text, _ in layout.pieces]
    return [*pieces, SYSTEM, ASKING] * (_MET_OFTEN + count // 20)


class _Pretraining:
    """Next-token training of one model on one list of documents."""

    def __init__(
        self,
        shape: CompactShape,
        vocabulary: int,
        documents: list[NDArray[np.int64]],
        device: torch.device,
        seed: int,
    ) -> None:
        self._shape, self._vocabulary, self._documents = shape, vocabulary, documents
        self._device, self._seed = device, seed
        self._precision = product_precision("auto", device)

    @property
    def step_tokens(self) -> int:
        """Tokens that one step predicts."""
        return self._shape.batch * self._shape.window

    def planned_steps(self, pace: Pace) -> int:
        """How many fit into what is left, by a few steps of a model that is thrown away; one at least."""
        lasted: list[Spent] = []
        model, batches = self._new_model(), self._batches()
        optimizer = self._optimizer(model)
        for _ in range(5):
            start = pace.spent()
            self._step(model, optimizer, next(batches))
            lasted.append(pace.spent() - start)
        useful = math.ceil(self._shape.epochs * sum(len(one) for one in self._documents) / self.step_tokens)
        # The first steps also set up what later ones find ready.
        return max(1, min(pace.fitting(lasted[1:]), useful))

    def fitted(self, steps: int, on_progress: OnProgress | None) -> Any:
        """The model after so many steps, in evaluation mode. Raises TrainingDiverged."""
        model, batches = self._new_model(), self._batches()
        optimizer = self._optimizer(model)
        for done in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = self._shape.learning_rate * _schedule(done, steps)
            loss = self._step(model, optimizer, next(batches))
            if not math.isfinite(loss):
                raise TrainingDiverged(
                    f"the compact model's loss became {loss} at step {done + 1} of {steps}; choose another seed"
                )
            if on_progress is not None:
                on_progress(done + 1, steps, loss)
        return model.eval()

    @torch.no_grad()
    def loss_of(self, model: Any, documents: list[NDArray[np.int64]]) -> float | None:
        """The sum over all tokens of documents, each read alone, in nats; None without documents."""
        total = 0.0
        ordered = sorted((one[:CONTEXT] for one in documents), key=len)
        for start in range(0, len(ordered), 16):
            rows = torch.nn.utils.rnn.pad_sequence(
                [torch.from_numpy(one) for one in ordered[start : start + 16]], batch_first=True, padding_value=-1
            ).to(self._device)
            total += float(self._loss(model, rows, "sum"))
        return total if documents else None

    def _new_model(self) -> Any:
        with torch.random.fork_rng(devices=[]), quiet():
            torch.manual_seed(derive_seed(self._seed, "compact", "weights"))
            return _model(self._shape, self._vocabulary).to(self._device)

    def _optimizer(self, model: Any) -> torch.optim.Optimizer:
        parameters = list(model.parameters())
        groups = [
            {"params": [one for one in parameters if one.dim() > 1], "weight_decay": self._shape.weight_decay},
            {"params": [one for one in parameters if one.dim() < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self._shape.learning_rate, betas=(0.9, 0.95), fused=True)

    def _batches(self) -> Iterator[Tensor]:
        seed = derive_seed(self._seed, "compact", "stream")
        for block in stream(self._documents, self._shape.batch * (self._shape.window + 1), seed):
            yield torch.from_numpy(block).view(self._shape.batch, -1).to(self._device)

    def _step(self, model: Any, optimizer: torch.optim.Optimizer, rows: Tensor) -> float:
        loss = self._loss(model, rows, "mean")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(loss.detach())

    def _loss(self, model: Any, rows: Tensor, reduction: str) -> Tensor:
        """rows: (B, N + 1) int64 tokens, -1 behind a document's end."""
        with autocast(self._device, self._precision):
            hidden = model.model(input_ids=rows[:, :-1].clamp(min=PADDING_ID), use_cache=False).last_hidden_state
            words = model.lm_head(hidden)
        return torch.nn.functional.cross_entropy(
            words.float().flatten(0, 1), rows[:, 1:].flatten(), ignore_index=-1, reduction=reduction
        )


def _model(shape: CompactShape, vocabulary: int) -> Any:
    library = transformers("llm")
    config = library.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=PADDING_ID,
        bos_token_id=BEGINNING_ID,
        eos_token_id=ENDING_ID,
        attn_implementation="sdpa",
    )
    return library.LlamaForCausalLM(config)


def _documents(tokenizer: Any, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    read = encode_texts(tokenizer, texts)
    return [np.array([BEGINNING_ID, *tokens, ENDING_ID], dtype=np.int64) for tokens in read]


def _schedule(done: int, steps: int) -> float:
    """Of the peak rate: a rise over a twentieth of the steps, then half a cosine down to a twentieth."""
    rise = max(1, steps // 20)
    if done < rise:
        return (done + 1) / rise
    share = (done - rise) / max(1, steps - rise)
    return 0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * share))


def _predicted(documents: list[NDArray[np.int64]]) -> int:
    return sum(min(len(one), CONTEXT) - 1 for one in documents)


def _bytes(corpus: Corpus) -> int:
    return sum(len(text.encode("utf-8", "replace")) for text in corpus.held_out)


def _save(model: Any, folder: Path) -> None:
    with named_disk_errors(folder), quiet():
        model.save_pretrained(folder)
