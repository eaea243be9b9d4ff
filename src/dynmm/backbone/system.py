"""The fitted backbone: user and item vectors for the stages above, and a recommender by itself."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dynmm.backbone.inference import user_vectors
from dynmm.backbone.pretraining import CODE_VERSION, Pretrained, build_model, pretrain
from dynmm.backbone.settings import BackboneSettings, DataShape, chosen, resolve
from dynmm.backbone.tower import Tower
from dynmm.errors import ArtefactError, reason
from dynmm.interactions.dataset import Dataset
from dynmm.precision import product_precision
from dynmm.remembering import RecentVectors
from dynmm.stages import StageCache, data_fingerprint
from dynmm.storage import named_disk_errors, write_json
from dynmm.system import Query, Rankings
from dynmm.topk import rank_by_vectors
from dynmm.training.recipe import Recipe
from dynmm.training.reports import EpochReport
from dynmm.types import Events, UserHistory

logger = logging.getLogger(__name__)

_WEIGHTS, _CARD = "weights.safetensors", "backbone.json"


class Backbone:
    """A frozen sequence model. B users, I items, D width."""

    def __init__(self, pretrained: Pretrained, device: str | torch.device = "cpu") -> None:
        self.pretrained = pretrained
        self.device = torch.device(device)
        self._model = build_model(pretrained.settings, pretrained.n_items)
        self._model.load_state_dict(pretrained.weights)
        self._model.to(self.device).eval().requires_grad_(False)
        #: (I, D) float32, unit length, on the device. The score of an item is its product with the user vector.
        self.item_vectors = self._model.items().contiguous()
        #: Vectors of the histories that were asked about last.
        self.recent = RecentVectors(self._model.positions)

    @property
    def n_items(self) -> int:
        return self.pretrained.n_items

    @property
    def width(self) -> int:
        return self.pretrained.settings.width

    def user_vectors(self, histories: Sequence[UserHistory]) -> torch.Tensor:
        """(B, D) float32 on the device, from the newest events of each history alone.

        Each is the same whoever else is in the batch: to the bit on a CPU, elsewhere to rounding. An empty
        history gets the vector that ranks most nearly by popularity.
        """
        return self.recent.of([history.items for history in histories], partial(user_vectors, self._model))

    def afresh(self) -> Backbone:
        """The same, which remembers nobody: a memory of its own for the histories that are asked about from now on."""
        twin = copy.copy(self)
        twin.recent = RecentVectors(self._model.positions)
        return twin

    @property
    def input_vectors(self) -> torch.Tensor:
        """(I, D) float32, e_cf of the paper: what the transformer reads of each item."""
        return self._model.item_table.detach()

    def tower(self) -> Tower:
        """A copy of the transformer that may be trained; the backbone itself stays as it is."""
        return Tower(self.pretrained.settings, self.pretrained.weights).to(self.device)

    def recipe(self) -> Recipe:
        """How it was trained, for a stage that trains on the same sequences."""
        settings = self.pretrained.settings
        return Recipe(
            positions=chosen(settings.positions),
            windows=settings.windows,
            full_softmax=settings.loss == "full",
            negatives=settings.negatives,
            negative_power=settings.negative_power,
            mask_history=chosen(settings.mask_history),
            batch_places=chosen(settings.batch_places),
            epochs=chosen(settings.epochs),
            temperature=chosen(settings.temperature),
            weight_decay=chosen(settings.weight_decay),
            validation_users=settings.validation_users,
            steady_heap=settings.steady_heap,
        )

    def parameter_hash(self) -> str:
        """sha256 over names, shapes and bits of all parameters: equal as long as nothing has moved."""
        digest = hashlib.sha256()
        for name, value in sorted(self._model.state_dict().items()):
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write weights and card into an existing or new folder. Raises StorageError."""
        fitted = self.pretrained
        with named_disk_errors(folder / _WEIGHTS):
            folder.mkdir(parents=True, exist_ok=True)
            save_file({name: value.contiguous() for name, value in fitted.weights.items()}, folder / _WEIGHTS)
        card = {
            "n_items": fitted.n_items,
            "best_epoch": fitted.best_epoch,
            "settings": fitted.settings.model_dump(mode="json"),
            "history": [asdict(report) for report in fitted.history],
        }
        write_json(folder / _CARD, card)

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> Backbone:
        """Read what `save` wrote. Raises ArtefactError, which names the file that cannot be used."""
        try:
            card = json.loads((folder / _CARD).read_bytes())
            settings = BackboneSettings.model_validate(card["settings"])
            history = tuple(EpochReport(**report) for report in card["history"])
            weights = load_file(folder / _WEIGHTS)
            pretrained = Pretrained(settings, card["n_items"], weights, card["best_epoch"], history)
            return cls(pretrained, device)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ArtefactError(
                f"the backbone in {folder} cannot be read: {reason(error)}; copy the run again, or fit it again"
            ) from error


class BackboneSystem:
    """The backbone as a recommender: `dynmm/backbone`, the first rung of the ladder."""

    name = "dynmm/backbone"
    learns_online: ClassVar[bool] = False

    def __init__(
        self,
        settings: BackboneSettings | None = None,
        seed: int = 0,
        *,
        device: str | torch.device = "cpu",
        cache: StageCache | None = None,
        on_epoch: Callable[[EpochReport], None] | None = None,
        backbone: Backbone | None = None,
    ) -> None:
        """cache: where a fit on the same inputs is found again, and where an interrupted one goes on.

        backbone: an already fitted one, for ranking without `fit`.
        """
        self._settings = settings or BackboneSettings()
        self._seed, self._device, self._cache, self._on_epoch = seed, device, cache, on_epoch
        self._backbone = backbone

    @property
    def backbone(self) -> Backbone:
        """The fitted parts. Raises RuntimeError before `fit`."""
        if self._backbone is None:
            raise RuntimeError("the backbone is not fitted: call fit(dataset) first")
        return self._backbone

    def fit(self, dataset: Dataset) -> None:
        """Train, or take the same fit from the cache. Raises UnsupportedByData where no user has two events."""
        self._backbone = fit_backbone(
            dataset, self._settings, self._seed, device=self._device, cache=self._cache, on_epoch=self._on_epoch
        )

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by the product of user and item vector."""
        users = self.backbone.user_vectors([query.history for query in queries])
        return rank_by_vectors(users, self.backbone.item_vectors, queries, k)

    def learn(self, events: Events) -> None:
        """Nothing: the weights are frozen, and fresh histories come with each query."""


def fit_backbone(
    dataset: Dataset,
    settings: BackboneSettings,
    seed: int,
    *,
    device: str | torch.device = "cpu",
    epochs: int | None = None,
    fold: str = "",
    cache: StageCache | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Backbone:
    """`pretrain` through the stage cache. fold: names the part that a cross-fit held out of the data."""
    if cache is None:
        fitted = pretrain(
            dataset, settings, seed, device=device, epochs=epochs, on_epoch=on_epoch, on_progress=on_progress
        )
        return Backbone(fitted, device)
    resolved = resolve(settings, DataShape.of(dataset))
    on = torch.device(device)
    # Devices and precisions round otherwise, and so end at other weights.
    part = f"{fold}/{on.type}/{product_precision(resolved.precision, on)}" + (
        "" if epochs is None else f"/epochs={epochs}"
    )
    key = cache.key(
        "backbone", data=data_fingerprint(dataset), settings=resolved, seed=seed, fold=part, code_version=CODE_VERSION
    )
    if (found := cache.get(key)) is not None:
        logger.info("the backbone comes from the cache: %s", found)
        return Backbone.load(found, device)
    with cache.work(key) as work:
        fitted = pretrain(
            dataset,
            resolved,
            seed,
            device=device,
            epochs=epochs,
            checkpoint_dir=work,
            on_epoch=on_epoch,
            on_progress=on_progress,
        )
        backbone = Backbone(fitted, device)
        with cache.put(key) as folder:
            backbone.save(folder)
    return backbone
