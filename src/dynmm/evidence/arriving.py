"""The worth of facts for people without a history, learned on the first events of those who came before.

Q first events, C candidates, T windows of the trend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dynmm.evidence.alone import ever, lately
from dynmm.evidence.candidates import candidates_of
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.newcomers import Newcomers
from dynmm.evidence.passing import moments
from dynmm.evidence.settings import EvidenceSettings
from dynmm.interactions.cases import Cases
from dynmm.randomness import generator

#: First events that are learned from, at most: a few weights need no more.
MOST = 2_000

#: How the weights are held to live popularity, in nats of all people together: a few of them move the weights little.
#: What one of them took at once, or within one window, follows from one taste, and is no more than one witness.
_RIDGE = 1.0
#: A weight below this is no fact worth telling.
_LEAST = 1e-3
_STEPS = 60
#: The logarithm of the popularity at the fit, which is what the latent knows of newcomers, counts so much against that
#: of now. It grows old until the next fit, and cannot be taken away: the others count so much more.
LATENT = 0.1
#: Where the weights of the trend start.
_START = 0.1


@dataclass(frozen=True, eq=False)
class _Asked:
    """facts: (Q, C, 1 + T). known: (Q, C), what ranks without them. standing: (Q, C), see `candidates_of`, 0 for what
    is no candidate. Column 0 of C is what was taken."""

    facts: Tensor
    known: Tensor
    standing: Tensor


def learn_newcomers(
    counts: ItemStatistics,
    n_items: int,
    asked: Cases,
    settings: EvidenceSettings,
    seed: int,
    *,
    latent: float = LATENT,
) -> Newcomers:
    """Weights under which what people took first is most likely among the whole catalogue: a multinomial logit.

    counts: of the events before the questions alone; those along the questions are added. asked: first events of
    people, one after the other in time. The latent of a user without a history comes nearest to the logarithm of the
    popularity at its fit, see `training.start`, for which that before the questions stands here. A ridge holds the
    weights to those of popularity as it is now, which are the answer where nobody came. latent: see `LATENT`, above 0.
    """
    if not len(asked):
        return popularity(settings, latent=latent)
    prior = _prior(settings)
    examples = _examples(counts, n_items, asked, settings, seed)
    held = _RIDGE / len(np.unique(asked.users))
    raw = prior.clamp(min=_START).expm1().log().requires_grad_()
    optimiser = torch.optim.LBFGS([raw], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        weights = torch.nn.functional.softplus(raw)
        scores = latent * examples.known + examples.facts @ weights
        any_of_them = torch.logsumexp(scores + examples.standing.log(), dim=1)
        value = (any_of_them - scores[:, 0]).mean() + held * (weights - prior).square().sum()
        (raw.grad,) = torch.autograd.grad(value, raw)
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return _newcomers(torch.nn.functional.softplus(raw).detach(), settings, len(asked), latent)


def popularity(settings: EvidenceSettings, *, latent: float = LATENT) -> Newcomers:
    """What counts where nobody came who could teach more: how many people took an item."""
    return _newcomers(_prior(settings), settings, 0, latent)


def _prior(settings: EvidenceSettings) -> Tensor:
    """(1 + T,) where all weight is that of popularity."""
    weights = torch.zeros(1 + len(settings.trend_days), dtype=torch.float64)
    weights[0] = 1.0
    return weights


def _newcomers(weights: Tensor, settings: EvidenceSettings, learned_from: int, latent: float) -> Newcomers:
    """In units of the latent. weights: (1 + T,) beside `latent` for what the latent knows."""
    taken, *trends = (weight / latent if weight >= _LEAST else 0.0 for weight in weights.tolist())
    return Newcomers(taken, tuple(zip(settings.trend_days, trends, strict=True)), learned_from)


def _examples(counts: ItemStatistics, n_items: int, asked: Cases, settings: EvidenceSettings, seed: int) -> _Asked:
    drawn = torch.from_numpy(generator(seed, "first events").integers(0, n_items, (len(asked), settings.drawn)))
    before = torch.from_numpy(np.log1p(counts.events_of(np.arange(n_items))))[None]
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for case, columns in enumerate(_columns(counts, n_items, asked, settings)):
        target = torch.tensor([[int(asked.targets(case)[0])]])
        some, standing, out = candidates_of(target, [before, *columns], drawn[[case]], settings.hard)
        facts = torch.stack([column.gather(1, some) for column in columns], dim=-1)
        rows.append((facts, before.gather(1, some), standing.masked_fill(out, 0.0)))
    facts, known, standing = (torch.cat(parts) for parts in zip(*rows, strict=True))
    return _Asked(facts, known, standing)


def _columns(counts: ItemStatistics, n_items: int, asked: Cases, settings: EvidenceSettings) -> Iterator[list[Tensor]]:
    """For each question 1 + T columns, (1, I) each, as of its moment."""
    for moment in moments(counts, asked):
        columns = [ever(counts, n_items), *(lately(counts, n_items, moment, days) for days in settings.trend_days)]
        yield [torch.from_numpy(column).double()[None] for column in columns]
