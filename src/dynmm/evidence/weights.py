"""How much each fact counts: non-negative weights beside the latent, learned on events that nothing below has seen.

B held-back events, C candidates of one, I items, K columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dynmm.evidence.candidates import candidates_of
from dynmm.evidence.neighbours import NeighbourTerms
from dynmm.evidence.newcomers import Newcomers
from dynmm.evidence.parts import Column
from dynmm.evidence.passing import Passing, blocks
from dynmm.evidence.settings import EvidenceSettings
from dynmm.evidence.terms import Terms
from dynmm.interactions.cases import Cases
from dynmm.randomness import derive_seed, generator
from dynmm.system import Query
from dynmm.types import FloatArray, UserHistory

#: The latent's scores of B histories for every item, (B, I) float32.
LatentScores = Callable[[Sequence[UserHistory]], Tensor]

#: Bytes of the columns of one block of held-back events.
_BLOCK_BYTES = 256 * 2**20

#: A weight below this is no fact worth telling.
_LEAST = 1e-3

#: Scores nearer than this count as partly ahead. Only its ratio to the scores matters, and those may grow.
_SMOOTH = 0.5

_OUT = -1e9

#: Ranks that count in choosing.
_DEPTH = 10


@dataclass(frozen=True, eq=False)
class Weights:
    """score = latent + strength * sum over columns of weights[k] * column k.

    columns: K. weights: (K,) not negative, in units of the latent. strength: chosen on validation. learned_from:
    held-back events. latent: what the latent's scores were multiplied by before all was divided by it. newcomers: the
    same for people without a history, whom none of the others are about.
    """

    columns: tuple[Column, ...]
    weights: FloatArray
    strength: float
    learned_from: int
    latent: float
    newcomers: Newcomers = field(default_factory=Newcomers)

    @property
    def effective(self) -> FloatArray:
        """(K,) weights times strength."""
        return self.weights * self.strength


@dataclass(frozen=True, eq=False)
class Examples:
    """facts: (B, C, K), divided by `scales`. latent: (B, C). standing: (B, C), for how many items a candidate stands.
    out: (B, C) bool, no candidate. Column 0 of C is what was taken. scales: (K,), the mean of each column where it is
    positive."""

    facts: Tensor
    latent: Tensor
    standing: Tensor
    out: Tensor
    scales: Tensor


def learn_weights(
    terms: Terms, latent: LatentScores, asked: Cases, settings: EvidenceSettings, seed: int
) -> Weights | None:
    """Weights that bring held-back events to the top: the mean of 1 / log2(1 + rank) over the whole catalogue rises.

    terms, latent: of the events before the cut alone. asked: what came next. The rank is smoothed, a sum of sigmoids
    over the strongest candidates by latent and by facts, and over some drawn from the rest that stand for it. None
    with too few events to learn from.
    """
    examples = examples_of(terms, latent, asked, settings, seed)
    if examples is None or len(examples.facts) < settings.least_users:
        return None
    raw = torch.full((examples.facts.shape[2],), -3.0, requires_grad=True)
    log_latent = torch.full((1,), -0.5, requires_grad=True)
    optimiser = torch.optim.Adam([raw, log_latent], lr=0.05)
    course = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    draws = torch.Generator().manual_seed(derive_seed(seed, "evidence weights"))
    for _ in range(settings.steps):
        rows = torch.randint(len(examples.facts), (min(settings.batch, len(examples.facts)),), generator=draws)
        scores = examples.facts[rows] @ torch.nn.functional.softplus(raw) + log_latent.exp() * examples.latent[rows]
        ahead = torch.sigmoid((scores[:, 1:] - scores[:, :1]) / _SMOOTH).masked_fill(examples.out[rows][:, 1:], 0.0)
        rank = 1.0 + (ahead * examples.standing[rows][:, 1:]).sum(1)
        loss = -(1.0 / torch.log2(1.0 + rank)).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        course.step()
    learned = torch.nn.functional.softplus(raw).detach()
    learned = torch.where(learned < _LEAST, torch.zeros_like(learned), learned)
    factor = float(log_latent.detach().exp())
    weights = (learned / examples.scales / factor).double().numpy()
    return Weights(terms.columns, weights, 1.0, len(examples.facts), factor)


def examples_of(
    terms: Terms, latent: LatentScores, asked: Cases, settings: EvidenceSettings, seed: int
) -> Examples | None:
    """Held-back events with their candidates. None where there are none."""
    draws = generator(seed, "evidence examples")
    chosen = np.sort(draws.permutation(len(asked))[: settings.users])
    answerable = [int(case) for case in chosen if _answerable(asked, int(case))]
    if not answerable:
        return None
    drawn = torch.from_numpy(draws.integers(0, terms.n_items, (len(answerable), settings.drawn)))
    place = {case: row for row, case in enumerate(answerable)}
    rows = max(1, _BLOCK_BYTES // (4 * max(1, terms.n_items) * (len(terms.columns) + 2)))
    passing = Passing(terms, asked)
    found: tuple[Tensor, ...] = ()
    for some in blocks(asked, asked.in_time(chosen), rows):
        cases = [case for case in some if case in place]
        if cases:
            own = torch.tensor([place[case] for case in cases])
            parts = _block(passing.at(some[0]), latent, asked, cases, settings, drawn[own])
            found = found or tuple(part.new_empty(len(answerable), *part.shape[1:]) for part in parts)
            for whole, part in zip(found, parts, strict=True):
                whole[own] = part
    facts, scores, standing, out = found
    positive = facts > 0
    sums = torch.where(positive, facts, torch.zeros_like(facts)).sum((0, 1))
    scales = torch.where(sums > 0, sums / positive.sum((0, 1)).clamp(min=1), torch.ones_like(sums))
    return Examples(facts / scales, scores, standing, out, scales)


def alike_weights(terms: NeighbourTerms) -> Weights:
    """The paper's: every neighbour counts the same, one unit of the latent before validation chooses the strength."""
    return Weights(terms.columns, np.ones(len(terms.columns)), 1.0, 0, 1.0)


def choose_strength(
    terms: Terms | NeighbourTerms,
    latent: LatentScores,
    weights: FloatArray,
    validation: Cases,
    settings: EvidenceSettings,
    seed: int,
) -> float:
    """The factor on all of evidence with the best NDCG@10 on validation, the smallest of equals.

    Weights are learned at strength 1, so another one must do better by a standard error: of a few questions the best
    of several factors is often the luckiest. 0 among them means that evidence may choose to add nothing.
    """
    cases = np.sort(generator(seed, "evidence strength").permutation(len(validation))[: settings.users])
    rows = max(1, _BLOCK_BYTES // (16 * max(1, terms.n_items)))
    passing = Passing(terms, validation)
    tried = sorted(settings.strengths)
    gained: dict[int, Tensor] = {}
    for block in blocks(validation, validation.in_time(cases), rows):
        now = passing.at(block[0])
        some = [case for case in block if _answerable(validation, case)]
        if not some:
            continue
        queries = [validation.query(case) for case in some]
        known = latent([query.history for query in queries]).cpu()
        facts = torch.from_numpy(now.total(queries, weights))
        _hide(known, queries)
        targets = torch.tensor([[int(validation.targets(case)[0])] for case in some])
        gains = []
        for strength in tried:
            scores = known + strength * facts
            better = ((scores >= scores.gather(1, targets)).sum(1) - 1).double()
            gains.append(torch.where(better < _DEPTH, 1.0 / torch.log2(better + 2.0), 0.0))
        gained.update(zip(some, torch.stack(gains, dim=1), strict=True))
    if not gained:
        return min(tried, key=lambda one: abs(one - 1.0))
    return _surest(tried, torch.stack([gained[case] for case in sorted(gained)], dim=1).numpy())


def _surest(tried: Sequence[float], gains: FloatArray) -> float:
    """The best factor, or the one nearest to 1 where it is not surely better. gains: (factors, questions)."""
    best = int(np.argmax(gains.mean(axis=1)))
    plain = min(range(len(tried)), key=lambda place: abs(tried[place] - 1.0))
    difference = gains[best] - gains[plain]
    error = float(difference.std()) / max(1.0, len(difference) - 1.0) ** 0.5
    return float(tried[best] if difference.mean() > error else tried[plain])


def _answerable(asked: Cases, case: int) -> bool:
    """False where the answer stands in the history, which is no candidate."""
    return int(asked.targets(case)[0]) not in asked.history(case).items


def _block(
    terms: Terms,
    latent: LatentScores,
    asked: Cases,
    cases: Sequence[int],
    settings: EvidenceSettings,
    drawn: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `Examples`. drawn: (B, D) items that stand for the rest."""
    queries = [asked.query(case) for case in cases]
    targets = torch.tensor([[int(asked.targets(case)[0])] for case in cases])
    known = latent([query.history for query in queries]).cpu()
    _hide(known, queries)
    columns = [torch.from_numpy(column) for column in terms.each(queries)]
    guides = [known, *(columns[place] for place in _guides(terms))]
    candidates, standing, out = candidates_of(targets, guides, drawn, settings.hard, known < _OUT / 2)
    scores = known.gather(1, candidates)
    facts = torch.stack([column.gather(1, candidates) for column in columns], dim=-1)
    return facts, scores, standing, out


def _guides(terms: Terms) -> list[int]:
    """Columns whose strongest items are hard to tell from what was taken: pairs, and each modality."""
    longest = max(terms.recencies)
    wanted = {("after", ""), *(("alike", one.modality) for one in terms.likeness)}
    return [
        place for place, one in enumerate(terms.columns) if (one.fact, one.name) in wanted and one.recency == longest
    ]


def _hide(scores: Tensor, queries: Sequence[Query]) -> None:
    for row, query in enumerate(queries):
        scores[row, torch.from_numpy(np.asarray(query.exclude, dtype=np.int64))] = _OUT
