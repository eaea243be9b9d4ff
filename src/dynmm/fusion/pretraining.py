"""Fits the joint stage on a frozen backbone; afterwards it is frozen too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dynmm.catalogue.content import AUDIO
from dynmm.catalogue.familiarity import Familiar, without_strange
from dynmm.catalogue.features import Features
from dynmm.fusion.content import Content, Standardiser, join
from dynmm.fusion.guessing import partly_guessed
from dynmm.fusion.latents import ItemLatents, Latents
from dynmm.fusion.model import JointModel
from dynmm.fusion.objective import JointObjective, Losses
from dynmm.fusion.regressor import ContentRegressor, fit_regressor
from dynmm.fusion.settings import FusionSettings, chosen
from dynmm.fusion.trust import Explained, explained_by
from dynmm.interactions.dataset import Dataset
from dynmm.precision import autocast, product_precision
from dynmm.protocols import SequenceTower
from dynmm.randomness import derive_seed
from dynmm.training.batches import training_sequences
from dynmm.training.checkpoints import Checkpoints
from dynmm.training.fitting import Plan, run_epochs
from dynmm.training.recipe import Recipe
from dynmm.training.reports import EpochReport
from dynmm.training.selection import Selection
from dynmm.training.softmax import NegativeSampler
from dynmm.training.start import start_vector
from dynmm.training.steady_heap import steady_heap
from dynmm.training.trainer import Course, Trainer

#: Raised whenever a change to this package changes the weights that the same inputs give.
CODE_VERSION = 5


@dataclass(frozen=True, eq=False)
class Base:
    """What the joint stage stands on: the frozen backbone as it is passed in.

    tower: a copy that may be trained. vectors: (I, D) e_cf, on the device. recipe: how it was trained.
    identity: hash of its parameters.
    """

    tower: SequenceTower
    vectors: Tensor
    recipe: Recipe
    identity: str


@dataclass(frozen=True, eq=False)
class Joined:
    """A fitted joint stage.

    settings: resolved. features: of the modalities that took part. regressor: guesses e_cf. guesser: guesses latents.
    explained: what content says of items that it was not fitted to. history: one report per epoch.
    """

    settings: FusionSettings
    features: tuple[Features, ...]
    standardisers: tuple[Standardiser, ...]
    counts: np.ndarray
    model: JointModel
    regressor: ContentRegressor
    guesser: ContentRegressor
    explained: Explained
    best_epoch: int
    history: tuple[EpochReport, ...]

    @cached_property
    def familiar(self) -> tuple[Familiar, ...]:
        """What features of each modality look like, so that others can be told from noise."""
        return tuple(Familiar.of(one) for one in self.features)

    def credible(self, features: Sequence[Features], ids: Sequence[str]) -> list[Features]:
        """Features of new items, of any modalities, without those that are no work of their encoder."""
        fit = zip(self.features, self.familiar, strict=True)
        known = {(one.modality, one.width): familiar for one, familiar in fit}
        judged = [(one, known.get((one.modality, one.width))) for one in features]
        return [one if familiar is None else without_strange(one, familiar, ids) for one, familiar in judged]

    @property
    def guessed(self) -> float:
        """Share of the latent of an item that nobody took that is guessed: 0 where content says nothing of it."""
        return self.settings.guessed if self.explained.says_something else 0.0

    @torch.no_grad()
    def latents(self, content: Content, collaborative: Tensor) -> Latents:
        """What the network makes of items, and what is guessed of those that nobody took. See `ItemLatents.forward`."""
        found: Latents = self.model.latents(content, collaborative)
        return partly_guessed(found, content, self.guesser, self.guessed)


def epochs_after(backbone: int) -> int:
    """By default, after so many planned epochs of the backbone: it begins at its weights, so half the way is enough."""
    return max(3, (backbone + 1) // 2)


def following(settings: FusionSettings, recipe: Recipe) -> FusionSettings:
    """The same settings with every "auto" decided: as the backbone was trained."""
    decided = settings.model_dump()
    if decided["temperature"] == "auto":
        decided["temperature"] = recipe.temperature
    if decided["weight_decay"] == "auto":
        decided["weight_decay"] = recipe.weight_decay
    if decided["epochs"] == "auto":
        decided["epochs"] = epochs_after(recipe.epochs)
    if decided["patience"] == "auto":
        decided["patience"] = max(4, -(-3 * decided["epochs"] // 10))
    return FusionSettings.model_validate(decided)


def pretrain_joint(
    dataset: Dataset,
    base: Base,
    features: Sequence[Features],
    settings: FusionSettings,
    seed: int,
    *,
    epochs: int | None = None,
    checkpoint_dir: Path | None = None,
    identity: str = "",
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Joined:
    """Fit on `dataset.events`; `dataset.validation`, where given, selects the epoch.

    features: at least one, see `content.usable`. epochs: train exactly so many and select nothing.
    checkpoint_dir, identity: as in the backbone's fit. Raises TrainingDiverged, StorageError.
    """
    settings, recipe = following(settings, base.recipe), base.recipe
    device = base.vectors.device
    precision = product_precision(settings.precision, device)
    counts = dataset.item_counts()
    standardisers = tuple(Standardiser.of(one) for one in features)
    content = join(features, standardisers, counts).to(device)
    init = torch.Generator().manual_seed(derive_seed(seed, "joint weights"))
    model = build_joint(base.tower, base.vectors.cpu(), [one.width for one in features], settings, init).to(device)
    names = ("cf", *(one.modality for one in features))
    trainer = _trainer(model, dataset, content, base, settings, seed, precision, names)
    validate = None if epochs is not None else _validation(model, dataset, content, recipe, seed, precision)
    plan = Plan(
        chosen(settings.epochs) if epochs is None else epochs, chosen(settings.patience), settings.validate_from
    )
    checkpoints = None if checkpoint_dir is None else Checkpoints(checkpoint_dir, _identity(identity, epochs))
    with steady_heap(recipe.steady_heap):
        outcome = run_epochs(
            trainer, plan, validate, checkpoints=checkpoints, on_epoch=on_epoch, on_progress=on_progress
        )
    model.load_state_dict(outcome.weights)
    model.eval().requires_grad_(False)
    draws = torch.Generator().manual_seed(derive_seed(seed, "content to cf"))
    regressor = fit_regressor(content, base.vectors, draws)
    guesser, explained = _learn_of_new(model, content, seed)
    joined = Joined(
        settings,
        tuple(features),
        standardisers,
        counts,
        model,
        regressor,
        guesser,
        explained,
        outcome.best_epoch,
        outcome.history,
    )
    _set_start(joined, content)
    return joined


def build_joint(
    tower: SequenceTower,
    collaborative: Tensor,
    widths: Sequence[int],
    settings: FusionSettings,
    init: torch.Generator | None = None,
) -> JointModel:
    """The network of resolved settings. collaborative: (I, D), on the CPU. init: draws the first weights."""
    latents = ItemLatents(
        collaborative,
        widths,
        hidden=settings.hidden,
        learned_gate=settings.gate == "learned",
        train_collaborative=settings.collaborative == "trained",
        content_dropout=settings.content_dropout,
        init=init,
    )
    model = JointModel(latents, tower, widths, chosen(settings.temperature), init)
    if settings.tower == "frozen":
        for parameter in model.tower.parameters():
            parameter.requires_grad_(False)
    return model


def item_space(model: JointModel, content: Content) -> Tensor:
    """(I, D) latents of every item, float32, without gradient."""
    with torch.no_grad():
        z: Tensor = model.latents(content, model.latents.collaborative).z
    return z


def losses_of(settings: FusionSettings, names: Sequence[str], *, mask_history: bool) -> Losses:
    """What is trained beside L_rank. names: M modalities, cf first. The paper's Eq. 4 is one way, without audio."""
    as_paper = settings.variant == "paper"
    return Losses(
        align=settings.align_weight,
        recon=settings.recon_weight,
        items=settings.aligned_items,
        modality_dropout=settings.modality_dropout,
        swap=settings.swap,
        mask_history=mask_history,
        one_way=as_paper,
        unaligned=tuple(m for m, name in enumerate(names) if as_paper and name == AUDIO),
    )


def _trainer(
    model: JointModel,
    dataset: Dataset,
    content: Content,
    base: Base,
    settings: FusionSettings,
    seed: int,
    precision: torch.dtype,
    names: Sequence[str],
) -> Trainer:
    """names: M modalities, cf first."""
    recipe = base.recipe
    losses = losses_of(settings, names, mask_history=recipe.mask_history)
    sampler = None
    if not recipe.full_softmax:
        counts = torch.from_numpy(dataset.item_counts())
        sampler = NegativeSampler(counts, recipe.negatives, recipe.negative_power)
    sequences = training_sequences(dataset.events.items, dataset.offsets, recipe.positions, windows=recipe.windows)
    frozen = _standardised(base.vectors, content.present[:, 0])
    return Trainer(
        model,
        JointObjective(model, content, frozen, losses, sampler, precision),
        sequences,
        Course(settings.learning_rate, settings.warmup_epochs, chosen(settings.epochs)),
        places=recipe.batch_places,
        weight_decay=chosen(settings.weight_decay),
        seed=derive_seed(seed, "joint"),
        section="fusion",
    )


def _standardised(vectors: Tensor, known: Tensor) -> Tensor:
    """e_cf at mean 0 and length about 1, as the features are."""
    there = vectors[known]
    if not len(there):
        return torch.zeros_like(vectors)
    moved = vectors - there.mean(0)
    return moved / moved[known].square().sum(1).mean().sqrt().clamp(min=1e-6)


def _validation(
    model: JointModel, dataset: Dataset, content: Content, recipe: Recipe, seed: int, precision: torch.dtype
) -> Callable[[], float] | None:
    if dataset.validation is None:
        return None
    selection = Selection(dataset.validation, recipe.validation_users, seed)
    if not len(selection):
        return None

    def ndcg() -> float:
        z = item_space(model, content)
        with torch.no_grad(), autocast(z.device, precision):
            users = model.users(model.tower.states(selection.histories, z)).float()
        return selection.ndcg(users, torch.nn.functional.normalize(z, dim=-1))

    return ndcg


def _learn_of_new(model: JointModel, content: Content, seed: int) -> tuple[ContentRegressor, Explained]:
    """What stands for an item that nobody took, from those that somebody did: a guess of its latent, and how far the
    gate can trust each modality."""
    draws = torch.Generator().manual_seed(derive_seed(seed, "new items"))
    explained = explained_by(content, model.latents.collaborative.detach(), draws)
    if model.latents.gate is not None:
        model.latents.gate.trust[1:] = explained.trust().to(content.present.device)
    latents = torch.nn.functional.normalize(item_space(model, content), dim=-1)
    return fit_regressor(content, latents, draws), explained


@torch.no_grad()
def _set_start(joined: Joined, content: Content) -> None:
    model = joined.model
    items = torch.nn.functional.normalize(joined.latents(content, model.latents.collaborative).z, dim=-1)
    with torch.enable_grad():
        model.start.copy_(start_vector(items, torch.from_numpy(joined.counts).to(items.device)))


def _identity(inputs: str, epochs: int | None) -> str:
    return hashlib.sha256(json.dumps([inputs, epochs, CODE_VERSION]).encode()).hexdigest()
