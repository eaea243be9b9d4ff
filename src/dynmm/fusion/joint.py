"""The fitted joint stage: one latent per item, a vector per user, and what new items get.

B users, I items, M modalities with cf first, D joint width.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from dynmm.catalogue.familiarity import without_strange
from dynmm.catalogue.features import Attributes, Features
from dynmm.errors import DataError
from dynmm.fusion.content import CF, Content, halved, join
from dynmm.fusion.latents import Latents
from dynmm.fusion.pretraining import Joined
from dynmm.remembering import RecentVectors
from dynmm.topk import SAME_KERNEL_ROWS
from dynmm.types import IntArray, UserHistory


@dataclass(frozen=True, eq=False)
class ItemParts:
    """Of what each latent is made. z = sum over m of weights[:, m] * parts[m].

    names: M modalities, cf first. parts: M of (I, D) float32; of an item that nobody took each holds what it adds to
    the guess, too. weights: (I, M). present: (I, M) bool, False where a part was guessed or is not there. lengths:
    (I,), of z before it was brought to unit length.
    """

    names: tuple[str, ...]
    parts: tuple[Tensor, ...]
    weights: Tensor
    present: Tensor
    lengths: Tensor


class Joint:
    """A frozen joint stage over the items it was fitted to, and those added since. A `VectorSpace`."""

    def __init__(self, joined: Joined, added: Sequence[Features] = (), device: str | torch.device = "cpu") -> None:
        """added: features of items that came after the fit, one for each modality that took part in it."""
        self.joined, self.added, self.device = joined, tuple(added), torch.device(device)
        self._model = joined.model.to(self.device).eval().requires_grad_(False)
        fitted = joined.features
        self._see([old.followed_by(new) for old, new in zip(fitted, added, strict=True)] if added else fitted)

    def _see(self, features: Sequence[Features]) -> None:
        """Make the latents of what is known of the items."""
        self.features: tuple[Features, ...] = tuple(features)
        self._content = self._read(features, self.joined.counts)
        table = self._model.latents.collaborative
        extra = len(self._content.present) - len(table)
        shown, self._table = self._content, torch.cat([table, table.new_zeros(extra, table.shape[1])])
        if self.joined.settings.variant == "paper":
            shown, self._table = _with_guesses(shown, self._table, self.guessed_cf())
        #: (I, D) float32, unit length, on the device. `_found.z` is the same as the tower reads it.
        self.item_vectors, self._found = self._latents(shown, self._table)
        #: Vectors of the histories that were asked about last.
        self.recent = RecentVectors(self._model.tower.length)

    @property
    def n_items(self) -> int:
        return len(self.item_vectors)

    @property
    def width(self) -> int:
        return int(self.item_vectors.shape[1])

    @property
    def modalities(self) -> tuple[str, ...]:
        """cf, then the content modalities that took part."""
        return (CF, *self._content.names)

    @property
    def attributes(self) -> dict[str, Attributes]:
        """Named attributes by modality, where its encoder gave some."""
        return {one.modality: one.attributes for one in self.features if one.attributes is not None}

    def user_vectors(self, histories: Sequence[UserHistory]) -> Tensor:
        """(B, D) float32 on the device; an empty history gets the vector that ranks most nearly by popularity."""
        return self.recent.of([history.items for history in histories], self._users)

    def afresh(self) -> Joint:
        """The same, which remembers nobody: a memory of its own for the histories that are asked about from now on."""
        twin = copy.copy(self)
        twin.recent = RecentVectors(self._model.tower.length)
        return twin

    def _users(self, histories: Sequence[IntArray]) -> Tensor:
        model = self._model
        with torch.no_grad():
            states = model.tower.states(histories, self._found.z)
            # Padded, so that what one user gets does not depend on how many others are in the batch.
            found = model.users(pad(states, (0, 0, 0, max(0, SAME_KERNEL_ROWS - len(states)))))[: len(states)]
            known = torch.tensor([len(items) > 0 for items in histories], dtype=torch.bool)
            return torch.where(known.to(self.device)[:, None], found, model.start)

    def parts(self) -> ItemParts:
        """Of what the latents are made."""
        found = self._found
        return ItemParts(self.modalities, found.parts, found.weights, self._content.present, found.z.norm(dim=-1))

    def with_items(self, features: Sequence[Features]) -> Joint:
        """The same with items behind the others that nobody has touched yet; this one stays as it is.

        features: of the new items alone, of any modalities; those that took no part in the fit are not used.
        """
        n_new = {one.n_items for one in features}
        if len(n_new) != 1:
            raise DataError("the features of new items must be of the same items, in the same order, and at least one")
        by_name = {one.modality: one for one in features}
        added = [
            _fitting(like, scaler.scale, by_name.get(like.modality), next(iter(n_new)))
            for like, scaler in zip(self.joined.features, self.joined.standardisers, strict=True)
        ]
        if self.added:
            added = [old.followed_by(new) for old, new in zip(self.added, added, strict=True)]
        return Joint(self.joined, added, self.device)

    def as_kept(self, features: Sequence[Features]) -> list[Features]:
        """Features of new items in the precision in which those of the fit lie in the run."""
        fitted = zip(self.joined.features, self.joined.standardisers, strict=True)
        scales = {one.modality: scaler.scale for one, scaler in fitted}
        return [halved(one, scales[one.modality]) if one.modality in scales else one for one in features]

    def with_features(self, features: Sequence[Features]) -> Joint:
        """The same items seen otherwise: with a modality dropped or corrupted. Nothing is trained anew.

        features: of the same items, one for each modality that took part, in the same order. Raises DataError
        where they are not.
        """
        self._check_seen(features)
        twin = copy.copy(self)
        twin._see(features)
        return twin

    def credible(self, features: Sequence[Features]) -> list[Features]:
        """What `with_features` takes, without what differs from the fit's and is no work of its encoder. See
        `without_strange`. Raises DataError as it does."""
        self._check_seen(features)
        fit = zip(features, self.joined.familiar, self.joined.features, strict=True)
        return [without_strange(one, familiar, known=known) for one, familiar, known in fit]

    def _check_seen(self, features: Sequence[Features]) -> None:
        seen = [(one.modality, one.width, one.n_items) for one in features]
        if seen != [(one.modality, one.width, one.n_items) for one in self.features]:
            raise DataError(
                f"the joint stage sees {', '.join(self.modalities[1:])} of {self.n_items:,} items, in this order; "
                "change the features that it has, and give all of them"
            )

    @property
    def collaborative(self) -> Tensor:
        """(I, D): each item's collaborative vector, guessed from content where nobody took the item."""
        known = self._content.present[:, :1]
        return torch.where(known, self._table, self.guessed_cf())

    def guessed_cf(self) -> Tensor:
        """(I, D): what the content-to-CF regressor says of each item's collaborative vector."""
        return self.joined.regressor(self._content)

    def decoded(self) -> list[Tensor]:
        """The standardised features of each modality, cf first, given back from the latents."""
        with torch.no_grad():
            return self._model.decode(self.item_vectors)

    def projected(self) -> list[Tensor]:
        """M of (I, P), unit length: where modalities are compared with one another."""
        return list(self._found.projected)

    @property
    def content(self) -> Content:
        """The standardised features, presence and quality."""
        return self._content

    def parameter_hash(self) -> str:
        """sha256 over names, shapes and bits of all parameters: equal as long as nothing has moved."""
        digest = hashlib.sha256()
        for name, value in sorted(self._model.state_dict().items()):
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _read(self, features: Sequence[Features], counts: np.ndarray) -> Content:
        n_items = features[0].n_items
        padded = np.concatenate([counts, np.zeros(n_items - len(counts), counts.dtype)])
        return join(features, self.joined.standardisers, padded).to(self.device)

    def _latents(self, content: Content, table: Tensor) -> tuple[Tensor, Latents]:
        with torch.no_grad():
            found = self.joined.latents(content, table)
            unit = normalize(found.z, dim=-1)
            void = ~content.present.any(1)
            fitted = unit[: len(self.joined.counts)][~void[: len(self.joined.counts)]]
            if void.any() and len(fitted):
                # Of these nothing is known. A zero vector would stand in the middle of every ranking; this one
                # points away from where the items of the fit are, and stands near the end.
                unit[void] = -normalize(fitted.mean(0), dim=-1)
        return unit, replace(found, parts=tuple(part.float() for part in found.parts))


def _fitting(like: Features, scale: float, new: Features | None, n_items: int) -> Features:
    """New items' features as the fit had them, absent where there are none. scale: of the fit's standardiser."""
    if new is not None and (new.encoder, new.width) == (like.encoder, like.width) and new.identity == like.identity:
        if like.attributes is not None and new.attributes is None:
            new = replace(new, attributes=_unknown(like.attributes, n_items))
        return halved(new, scale)
    if new is not None and new.present.any():
        raise DataError(
            f"the {new.modality} features of the new items come from {new.encoder} ({new.identity}, {new.width} wide), "
            f"those of the fit from {like.encoder} ({like.identity}, {like.width} wide); encode them the same way"
        )
    return replace(
        like,
        vectors=np.zeros((n_items, like.width), np.float32),
        present=np.zeros(n_items, bool),
        quality=np.zeros(n_items, np.float32),
        attributes=None if like.attributes is None else _unknown(like.attributes, n_items),
        left_out=(),
        notes=(),
    )


def _unknown(like: Attributes, n_items: int) -> Attributes:
    return Attributes(like.names, np.full((n_items, len(like.names)), np.nan, np.float32))


def _with_guesses(content: Content, table: Tensor, guesses: Tensor) -> tuple[Content, Tensor]:
    """The paper's latents need a collaborative vector: the regressor's, where an item has content alone."""
    alone = ~content.present[:, 0] & content.present[:, 1:].any(1)
    present = content.present.clone()
    present[alone, 0] = True
    return replace(content, present=present), torch.where(alone[:, None], guesses, table)
