"""LLM-only: a frozen language model ranks by titles alone, with nothing of ours in the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from dynmm.configuration import Settings
from dynmm.errors import ModelError
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import TITLE
from dynmm.language.contracts import FrozenModel
from dynmm.system import PADDING, Query, Rankings, System
from dynmm.types import Events, IntArray

_BEFORE = "Taken, oldest first: "
_BETWEEN = "; "


class TitlesOnlySettings(Settings):
    """What the language model reads, and how many candidates it orders."""

    candidates: int = Field(20, ge=1, description="Best items of the system below that the model orders.")
    history: int = Field(20, ge=0, description="Newest history items whose titles it reads.")
    title_tokens: int = Field(12, ge=1, description="Most tokens of a title.")


class TitlesOnly:
    """The row LLM-Only of the paper's Table 2: what a language model knows of titles, without soft tokens.

    It reads the titles of the history as text and scores a candidate by the mean log-likelihood of its title's tokens
    after them. The candidates are the best of another system, which also orders all that lies below them, and those
    that cannot be judged, for want of a title or where the model gives no number. So what is gained or lost against
    that system alone is the language model's. Nothing is trained. The candidates of a question share one run, each
    seeing the history and itself; each question has a run of its own, so that its scores hang on nobody else's.
    """

    name = "llm-only"

    def __init__(self, model: FrozenModel, shortlist: System, settings: TitlesOnlySettings | None = None) -> None:
        """model: a causal one. shortlist: finds the candidates; popularity or any other.

        Raises ModelError for an encoder, which gives no next token.
        """
        if not model.caches:
            raise ModelError(f"{self.name} needs a causal language model: an encoder gives no likelihood of a title")
        self.settings = settings or TitlesOnlySettings()
        self.learns_online: bool = getattr(shortlist, "learns_online", True)
        self._model, self._shortlist = model, shortlist
        self._before, self._between = [*model.beginning, *model.tokens(_BEFORE)], model.tokens(_BETWEEN)
        self._titles: list[list[int]] = []

    def fit(self, dataset: Dataset) -> None:
        """Fit the system below, and read the titles. Raises ModelError where not even one fits the context."""
        self._shortlist.fit(dataset)
        most = self.settings.title_tokens
        titles = dataset.item_table[TITLE].fill_null("").to_list()
        self._titles = [self._model.tokens(title)[:most] for title in titles]
        least = len(self._before) + most
        if least > self._model.context:
            raise ModelError(f"{self.name} needs {least} tokens of context: this model reads {self._model.context}")

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """See `System.rank`. The score is the mean log-likelihood, in nats; below the candidates only order counts."""
        found = self._shortlist.rank(queries, max(k, self.settings.candidates))
        items = np.full((len(queries), k), PADDING, dtype=np.int32)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for row, query in enumerate(queries):
            ordered, worth = self._order(query, found.items[row][found.items[row] != PADDING])
            width = min(k, len(ordered))
            items[row, :width], scores[row, :width] = ordered[:width], worth[:width]
        return Rankings(items, scores)

    def learn(self, events: Events) -> None:
        """Taken in by the system below; the language model learns nothing."""
        self._shortlist.learn(events)

    def _order(self, query: Query, found: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """All that was found, best first, and scores that never rise."""
        top = found[: self.settings.candidates]
        titled = np.fromiter((bool(self._titles[item]) for item in top), np.bool_, len(top))
        likely = np.full(len(top), np.nan, dtype=np.float32)
        likely[titled] = self._likelihoods(query.history.items, top[titled])
        judged = np.isfinite(likely)
        read, worth = top[judged], likely[judged]
        rest = np.concatenate([top[~judged], found[self.settings.candidates :]])
        order = np.lexsort((read, -worth))
        floor = float(worth.min(initial=0.0))
        below = (floor - 1.0 - np.arange(len(rest))).astype(np.float32)
        return np.concatenate([read[order], rest]), np.concatenate([worth[order], below])

    @torch.no_grad()
    def _likelihoods(self, history: IntArray, candidates: NDArray[np.int32]) -> NDArray[np.float32]:
        """(C,) mean log-likelihood of each candidate's title after the history."""
        if not len(candidates):
            return np.empty(0, dtype=np.float32)
        titles = [self._titles[item] for item in candidates]
        prefix = self._prefix(history, max(map(len, titles)))
        tokens = torch.tensor([[*prefix, *(token for title in titles for token in title)]], device=self._model.device)
        visible, places = _branches(len(prefix), titles)
        vectors = self._model.embed(tokens)
        hidden, _ = self._model.run(vectors, visible.to(self._model.device), places.to(self._model.device))
        # A title's first token follows the prefix; each other follows the one before it.
        before: list[int] = []
        start = len(prefix)
        for title in titles:
            before += [len(prefix) - 1, *range(start, start + len(title) - 1)]
            start += len(title)
        said = self._model.logits(hidden[0, before]).log_softmax(-1).gather(1, tokens[0, len(prefix) :, None])[:, 0]
        means = torch.stack([one.mean() for one in torch.split(said, [len(title) for title in titles])])
        return np.asarray(means.cpu().numpy(), dtype=np.float32)

    def _prefix(self, history: IntArray, longest: int) -> list[int]:
        """The history as tokens, newest last; the oldest are left out where they do not fit before a title."""
        room = self._model.context - len(self._before) - longest
        told: list[int] = []
        for item in reversed(history[max(0, len(history) - self.settings.history) :].tolist()):
            title = self._titles[item]
            if not title:
                continue
            if len(title) + len(self._between) + len(told) > room:
                break
            told = [*title, *self._between, *told]
        return [*self._before, *told]


def _branches(prefix: int, titles: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """(1, N, N) what each token may see, and (1, N) its position, where every title follows the same prefix."""
    lengths = torch.tensor([prefix, *map(len, titles)])
    part = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    inside = torch.arange(len(part)) - (lengths.cumsum(0) - lengths)[part]
    places = torch.where(part == 0, inside, inside + prefix)
    order = torch.arange(len(part))
    visible = ((part[:, None] == part) | (part == 0)) & (order[:, None] >= order)
    return visible[None], places[None]
