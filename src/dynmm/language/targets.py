"""L_nlp of the paper's L_exp: the words of a rationale, predicted after the soft tokens of what it is about.

Only the soft tokens learn: the words teach projectors and the evidence encoder to hold what a rationale says. B
questions, N soft tokens, M tokens of words, T token width.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from dynmm.interactions.explanations import TEXT
from dynmm.interactions.fields import ITEM, USER
from dynmm.language.contracts import FrozenModel
from dynmm.language.questions import Questions
from dynmm.language.ranker import LanguageRanker
from dynmm.language.slates import Shelf
from dynmm.language.words import Words

if TYPE_CHECKING:
    import polars as pl

    from dynmm.interactions.vocabulary import Vocabulary

#: Stands for "no token" in padded tables of tokens.
NO_TOKEN = -1

#: Tokens of a text, and the soft ones before it at most.
MOST, _SOFT = 96, 3


def wording_loss(model: FrozenModel, prefix: Tensor, tokens: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of each token after the soft ones and the tokens before it; a scalar.

    prefix: (B, N, T), N at least 1. tokens: (B, M) int64, padded on the right with `NO_TOKEN`; 0 where there is none.
    Gradients reach the prefix alone. Raises ModelError for texts longer than the model reads, and out of memory.
    """
    told = tokens != NO_TOKEN
    longest = int(told.sum(1).max()) if told.numel() else 0
    if longest == 0:
        return prefix.sum() * 0.0
    tokens, told = tokens[:, :longest], told[:, :longest]
    soft, whole = prefix.shape[1], prefix.shape[1] + longest - 1
    words = model.embed(tokens[:, :-1].clamp(min=0))
    before = torch.ones(whole, whole, dtype=torch.bool, device=prefix.device).tril()
    places = torch.arange(whole, device=prefix.device).expand(len(prefix), -1)
    # Padding is on the right, so that no token of a text sees it.
    hidden, _ = model.run(torch.cat([prefix.to(words.dtype), words], 1), before.expand(len(prefix), -1, -1), places)
    scores = model.logits(hidden[:, soft - 1 :][told])
    return functional.cross_entropy(scores, tokens[told])


class Wordings:
    """The words that are wanted for users and items, as tokens."""

    def __init__(self, words: Words, texts: Mapping[tuple[int, int], str], *, most: int = MOST) -> None:
        """texts: by dense user and item; rationales that verify, or somebody's explanations. most: tokens of a text,
        the ending among them; longer ones are cut. See `room`."""
        ending = [] if words.ending is None else [words.ending]
        found = ((pair, words.read(text)) for pair, text in texts.items())
        read = {pair: [*tokens, *ending][:most] for pair, tokens in found if tokens}
        self._rows = {pair: row for row, pair in enumerate(read)}
        width = max(map(len, read.values()), default=0)
        # The last row stands for all pairs that have no words.
        self._table = torch.full((len(read) + 1, width), NO_TOKEN, dtype=torch.int64)
        for row, tokens in enumerate(read.values()):
            self._table[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.int64)

    def of(self, users: Tensor, items: Tensor) -> Tensor:
        """(B, M) int64 tokens of each pair (B,), padded on the right; a row of padding where there are no words."""
        pairs = zip(users.tolist(), items.tolist(), strict=True)
        rows = torch.tensor([self._rows.get(pair, len(self._table) - 1) for pair in pairs], dtype=torch.int64)
        return self._table[rows].to(items.device)

    def told(self, users: Tensor, items: Tensor) -> Tensor:
        """(B,) bool, for which pairs there are words."""
        pairs = zip(users.tolist(), items.tolist(), strict=True)
        return torch.tensor([pair in self._rows for pair in pairs], dtype=torch.bool)


def room(context: int) -> int:
    """Most tokens of a text that a model of this context reads behind the soft ones: the last is not read."""
    return min(MOST, context - _SOFT + 1)


class Worded:
    """A training objective with L_nlp added: the words of each answer, after its own soft tokens."""

    def __init__(
        self,
        objective: Callable[[Questions], Tensor],
        ranker: LanguageRanker,
        shelf: Shelf,
        wordings: Wordings,
        *,
        weight: float,
    ) -> None:
        """weight: of L_nlp, above 0. Questions without words count in the objective alone."""
        self._objective, self._ranker, self._shelf = objective, ranker, shelf
        self._wordings, self._weight = wordings, weight

    def __call__(self, questions: Questions) -> Tensor:
        """Mean loss of a batch."""
        loss = self._objective(questions)
        tokens = self._wordings.of(questions.people, questions.targets)
        rows = (tokens != NO_TOKEN).any(1).nonzero()[:, 0]
        if not len(rows):
            return loss
        prefix = answer_tokens(self._ranker, questions.take(rows), self._shelf)
        words = wording_loss(self._ranker.model, prefix, tokens[rows].to(prefix.device))
        return loss + self._weight * (len(rows) / len(questions)) * words


def answer_tokens(ranker: LanguageRanker, questions: Questions, shelf: Shelf) -> Tensor:
    """(B, N, T) soft tokens of the user, the answer and, where facts are shown, its evidence."""
    answers = questions.answers[:, None]
    slates = questions.slates.to(ranker.device)
    own = slates.places(answers.to(ranker.device))
    vectors = shelf.vectors[own.items.to(shelf.vectors.device)].to(ranker.device)
    parts = [ranker.users(slates.users)[:, None], ranker.items(vectors)]
    evidence = ranker.evidence(own, shelf)
    if evidence is not None and ranker.encoder is not None:
        parts.append(ranker.encoder(evidence))
    return torch.cat(parts, 1)


def explained_pairs(
    frame: pl.DataFrame, users: Vocabulary, items: Vocabulary, wanted: Collection[tuple[int, int]] | None = None
) -> dict[tuple[int, int], str]:
    """The texts of `explanations.parquet` by dense user and item; those of unknown users or items are left out.

    frame: as `interactions.explanations.read_explanations` gives it. wanted: pairs that are kept, None for all.
    """
    dense = zip(
        users.encode_known(frame[USER].to_list()).tolist(),
        items.encode_known(frame[ITEM].to_list()).tolist(),
        frame[TEXT].to_list(),
        strict=True,
    )
    known = ((user, item, text) for user, item, text in dense if user >= 0 and item >= 0)
    return {(user, item): text for user, item, text in known if wanted is None or (user, item) in wanted}
