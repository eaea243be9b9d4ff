"""One gradient step: ranking loss on the state before each event, gradients bounded user by user, and stability.

N events, C items, P weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from dynmm.adapter.lessons import Lesson
from dynmm.adapter.model import ITEM, USER, Shape, shift


@dataclass(eq=False)
class Weights:
    """The adapter's weights with all that training keeps of them, (P,) each.

    raw: trains. ema: serves. first, second: AdamW's moments after `steps`. fisher: mean squared gradient of a user,
    around `anchor`.
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


#: AdamW's decay of its moments, and what is added to a spread; a Fisher value keeps so much of itself at a step.
_BETAS, _EPSILON, _FISHER = (0.9, 0.999), 1e-8, 0.99


def scores(shape: Shape, flat: Tensor, lesson: Lesson, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C) scores with what other stages add, and (N,) mean squared shift. vectors: (N, C, D) of the items."""
    lengths = lesson.users.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    unit = lesson.users / lengths
    up = lesson.active[:, None] * shift(shape, flat, USER, unit, lesson.seen)
    over = lesson.moving[..., None] * shift(shape, flat, ITEM, vectors, lesson.known)
    found = ((unit + up)[:, None] * (vectors + over)).sum(-1) * lengths
    real = torch.isfinite(lesson.beside)
    moved = up.square().sum(-1) + (over.square().sum(-1) * real).sum(-1) / real.sum(-1).clamp(min=1)
    return found + lesson.beside, moved


def losses(shape: Shape, flat: Tensor, lesson: Lesson, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) ranking loss of each event, and (N,) mean squared shift."""
    found, moved = scores(shape, flat, lesson, vectors)
    return torch.logsumexp(found, dim=-1) - found[:, 0], moved


def step(shape: Shape, weights: Weights, lesson: Lesson, vectors: Tensor, rule: Rule) -> float:
    """One step of AdamW in place; returns the mean ranking loss before it."""

    def one(flat: Tensor, *row: Tensor) -> tuple[Tensor, Tensor]:
        *columns, items = row
        single = Lesson(*(column[None] for column in columns))
        ranking, moved = losses(shape, flat, single, items[None])
        return (ranking + rule.stability * moved)[0], ranking[0]

    columns = [getattr(lesson, name) for name in _COLUMNS]
    rows = (0,) * (len(columns) + 1)
    gradients, (_, ranking) = vmap(grad_and_value(one, has_aux=True), in_dims=(None, *rows))(
        weights.raw, *columns, vectors
    )
    people, places = torch.unique(lesson.people, return_inverse=True)
    by_user = torch.zeros(len(people), shape.size).index_add_(0, places, gradients)
    counts = torch.bincount(places, minlength=len(people)).clamp(min=1)[:, None]
    by_user = by_user / counts
    lengths = by_user.norm(dim=1, keepdim=True)
    by_user = by_user * (rule.clip / lengths.clamp(min=rule.clip))
    gradient = (by_user * counts).sum(0) / len(lesson)
    if rule.ewc:
        gradient = gradient + rule.stability * rule.ewc * 2 * weights.fisher * (weights.raw - weights.anchor)
    weights.fisher = _FISHER * weights.fisher + (1 - _FISHER) * by_user.square().mean(0)
    _adamw(weights, gradient, rule)
    return float(ranking.mean())


_COLUMNS = ("people", "users", "seen", "active", "items", "known", "moving", "beside")


def _adamw(weights: Weights, gradient: Tensor, rule: Rule) -> None:
    weights.steps += 1
    weights.first = _BETAS[0] * weights.first + (1 - _BETAS[0]) * gradient
    weights.second = _BETAS[1] * weights.second + (1 - _BETAS[1]) * gradient.square()
    first = weights.first / (1 - _BETAS[0] ** weights.steps)
    second = weights.second / (1 - _BETAS[1] ** weights.steps)
    kept = weights.raw * (1 - rule.learning_rate * rule.weight_decay)
    weights.raw = kept - rule.learning_rate * first / (second.sqrt() + _EPSILON)
    weights.ema = rule.ema * weights.ema + (1 - rule.ema) * weights.raw
