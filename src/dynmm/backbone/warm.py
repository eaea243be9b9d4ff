"""A fitted backbone that is trained further: the comparison that adapts by gradient steps on everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from dynmm.backbone.pretraining import backbone_sequences, backbone_trainer, build_model, set_start
from dynmm.backbone.settings import chosen
from dynmm.backbone.system import Backbone, BackboneSystem
from dynmm.interactions.dataset import Dataset
from dynmm.precision import product_precision
from dynmm.randomness import derive_seed
from dynmm.system import Query, Rankings
from dynmm.training.steady_heap import steady_heap
from dynmm.types import Events

#: A refit starts from good weights: a full peak rate would first undo them.
RATE_SHARE = 0.3


class WarmBackbone:
    """Begins as the given backbone; each `refit` trains it for one more epoch on all events so far."""

    learns_online = False

    def __init__(self, backbone: Backbone, seed: int, name: str) -> None:
        self.name = name
        self._backbone, self._seed, self._refits = backbone, seed, 0

    def fit(self, dataset: Dataset) -> None:
        """Nothing: the given backbone was fitted on these events. Raises ValueError where it cannot have been."""
        if dataset.n_items != self._backbone.n_items:
            raise ValueError(f"the backbone knows {self._backbone.n_items} items, the data set {dataset.n_items}")

    def refit(self, dataset: Dataset) -> None:
        """One epoch over `dataset.events` from the weights of now, at a lower rate, with a fresh optimizer."""
        fitted = self._backbone.pretrained
        device = self._backbone.device
        settings = fitted.settings.model_copy(
            update={
                "epochs": 1,
                "warmup_epochs": 0.1,
                "learning_rate": RATE_SHARE * chosen(fitted.settings.learning_rate),
            }
        )
        sequences = backbone_sequences(dataset, settings)
        model = build_model(settings, fitted.n_items)
        model.load_state_dict(fitted.weights)
        counts = torch.from_numpy(dataset.item_counts())
        seed = derive_seed(self._seed, "refit", self._refits)
        precision = product_precision(settings.precision, device)
        trainer = backbone_trainer(model.to(device), sequences, counts, settings, seed, precision)
        with steady_heap(settings.steady_heap):
            trainer.epoch(1)
        set_start(model, counts)
        weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        self._backbone = Backbone(replace(fitted, weights=weights), device)
        self._refits += 1

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by the weights of the last refit."""
        return BackboneSystem(backbone=self._backbone).rank(queries, k)

    def learn(self, events: Events) -> None:
        """Nothing between refits."""
