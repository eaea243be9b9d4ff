"""One gradient step: ranking loss on the state before each event, gradients bounded user by user, and stability.

N events, C items, P weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dynmm.adapter.lessons import Lesson
from dynmm.adapter.model import ITEM, USER, Shape, shift
from dynmm.adapter.settings import AdapterSettings


@dataclass(eq=False)
class Weights:
    """The adapter's weights with all that training keeps of them, (P,) each.

    raw: trains. ema: serves. first, second: AdamW's moments after `steps`. fisher: mean squared gradient of an event
    lately, around `anchor`.
    """

    raw: Tensor
    ema: Tensor
    first: Tensor
    second: Tensor
    fisher: Tensor
    anchor: Tensor
    steps: int = 0

    @classmethod
    def begin(cls, start: Tensor) -> Weights:
        """Before the first step."""
        zeros = torch.zeros_like(start)
        return cls(start.clone(), start.clone(), zeros.clone(), zeros.clone(), zeros.clone(), start.clone())

    def copy(self) -> Weights:
        """To go back to."""
        copies = {name: one.clone() for name, one in self.tensors().items()}
        return Weights(**copies, steps=self.steps)

    def tensors(self) -> dict[str, Tensor]:
        """All of them by name."""
        return {name: getattr(self, name) for name in ("raw", "ema", "first", "second", "fisher", "anchor")}

    @property
    def sound(self) -> bool:
        """Whether every value is a finite number."""
        return all(bool(torch.isfinite(one).all()) for one in self.tensors().values())


@dataclass(frozen=True)
class Rule:
    """How a step is made. See `AdapterSettings`."""

    learning_rate: float
    weight_decay: float
    stability: float
    ewc: float
    clip: float
    ema: float

    @classmethod
    def of(cls, settings: AdapterSettings) -> Rule:
        """As configured; the paper's has no clipping."""
        clip = math.inf if settings.variant == "paper" else settings.clip
        rates = settings.learning_rate, settings.weight_decay
        return cls(*rates, settings.stability, settings.ewc, clip, settings.ema)


#: AdamW's decay of its moments, and what is added to a spread; a Fisher value keeps so much of itself at a step.
_BETAS, _EPSILON, _FISHER = (0.9, 0.999), 1e-8, 0.99


def shifts(shape: Shape, flat: Tensor, lesson: Lesson, known: Tensor) -> tuple[Tensor, Tensor]:
    """(N, D) of the users, in units of their length, and (N, C, D) of the items; zero where nothing was active.

    known: (N, C, D) of the items, as the network reads them.
    """
    up = lesson.active[:, None] * shift(shape, flat, USER, _unit(lesson.users), lesson.seen)
    hot = (lesson.moving > 0) & torch.isfinite(lesson.standing)
    rows = hot.nonzero(as_tuple=True)
    moved = lesson.moving[rows][:, None] * shift(shape, flat, ITEM, known[rows], lesson.known[rows])
    return up, torch.zeros(known.shape).index_put(rows, moved)


def scores(up: Tensor, over: Tensor, lesson: Lesson, vectors: Tensor) -> Tensor:
    """(N, C) of all stages under these shifts. vectors: (N, C, D) of the items, of the frozen base."""
    lengths = lesson.users.norm(dim=-1, keepdim=True)
    latent: Tensor = ((_unit(lesson.users) + up)[:, None] * (vectors + over)).sum(-1) * lengths
    return latent + lesson.beside


def losses(found: Tensor, lesson: Lesson, factor: float) -> Tensor:
    """(N,) ranking loss of each event: softmax of ``factor`` times the scores (N, C)."""
    logits = factor * found + lesson.standing
    return torch.logsumexp(logits, dim=-1) - logits[:, 0]


def gained(found: Tensor, lesson: Lesson, deepest: int) -> Tensor:
    """(N,) 1 / log2(1 + rank) of what was taken, 0 below the ``deepest`` rank; equal scores count against it.

    found: (N, C) scores. As deep as the best items of both sides are known, so that no rank is a guess.
    """
    ahead = ((found[:, 1:] >= found[:, :1]) * lesson.standing[:, 1:].exp()).sum(-1)
    reached: Tensor = torch.where(ahead < deepest, 1.0 / torch.log2(2.0 + ahead), 0.0)
    return reached


def step(
    shape: Shape, weights: Weights, lesson: Lesson, known: Tensor, vectors: Tensor, factor: float, rule: Rule
) -> float:
    """One step of AdamW in place; returns the mean ranking loss before it. known, vectors: (N, C, D), see above.

    The gradient at the shifts is bounded user by user before it goes on into the network, so that nobody can pull it
    further than others, however odd their events.
    """
    flat = weights.raw.clone().requires_grad_()
    outputs = shifts(shape, flat, lesson, known)
    up, over = outputs[0].detach().requires_grad_(), outputs[1].detach().requires_grad_()
    ranking = losses(scores(up, over, lesson, vectors), lesson, factor)
    real = torch.isfinite(lesson.standing).sum(-1).clamp(min=1)
    moved = up.square().sum(-1) + over.square().sum((-1, -2)) / real
    first, second = torch.autograd.grad((ranking + rule.stability * moved).sum(), (up, over))
    bounds = _bounds(lesson.people, first, second, rule.clip) / len(lesson)
    pulls = first * bounds[:, None], second * bounds[:, None, None]
    (gradient,) = torch.autograd.grad(outputs, flat, pulls)
    weights.fisher = _FISHER * weights.fisher + (1 - _FISHER) * len(lesson) * gradient.square()
    if rule.ewc:
        gradient = gradient + rule.stability * rule.ewc * 2 * weights.fisher * (weights.raw - weights.anchor)
    _adamw(weights, gradient, rule)
    return float(ranking.detach().mean())


def _bounds(people: Tensor, first: Tensor, second: Tensor, clip: float) -> Tensor:
    """(N,) what each event's gradient is multiplied by, so that no user's mean one is longer than ``clip``."""
    lengths = (first.square().sum(-1) + second.square().sum((-1, -2))).sqrt()
    names, places = torch.unique(people, return_inverse=True)
    counts = torch.bincount(places, minlength=len(names)).clamp(min=1)
    means = torch.zeros(len(names)).index_add_(0, places, lengths) / counts
    bounds: Tensor = (clip / means.clamp(min=clip))[places] if clip < float("inf") else torch.ones(len(people))
    return bounds


def _unit(users: Tensor) -> Tensor:
    unit: Tensor = users / users.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return unit


def _adamw(weights: Weights, gradient: Tensor, rule: Rule) -> None:
    weights.steps += 1
    weights.first = _BETAS[0] * weights.first + (1 - _BETAS[0]) * gradient
    weights.second = _BETAS[1] * weights.second + (1 - _BETAS[1]) * gradient.square()
    first = weights.first / (1 - _BETAS[0] ** weights.steps)
    second = weights.second / (1 - _BETAS[1] ** weights.steps)
    kept = weights.raw * (1 - rule.learning_rate * rule.weight_decay)
    weights.raw = kept - rule.learning_rate * first / (second.sqrt() + _EPSILON)
    weights.ema = rule.ema * weights.ema + (1 - rule.ema) * weights.raw
