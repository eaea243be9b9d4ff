"""The vectors that serve: those of the frozen stage, moved where there was activity lately.

B users, I items, D width.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from dynmm.adapter.model import ITEM, USER, Shape, shift
from dynmm.adapter.settings import AdapterSettings
from dynmm.adapter.summaries import ItemSummaries, UserSummaries
from dynmm.making_once import made_once
from dynmm.protocols import VectorSpace
from dynmm.topk import SAME_KERNEL_ROWS
from dynmm.types import UserHistory

#: Items that are moved at a time: every block has as many rows, so that no bit hangs on how many are hot.
_BLOCK = 1_024


class MovedSpace:
    """A `VectorSpace` over another. It stays as it is but for `now`, so that others may rank by it at any moment.

    Cost follows what is hot: the whole table is copied only where somebody asks for it.
    """

    def __init__(
        self,
        base: VectorSpace,
        collaborative: Tensor,
        latents: NDArray[np.float32],
        shape: Shape,
        settings: AdapterSettings,
    ) -> None:
        """collaborative: (I, D) unit vectors that the network reads of items. latents: (I, P) projected ones."""
        self.base, self.collaborative, self.latents, self._shape = base, collaborative, latents, shape
        self._settings = settings
        self.users = UserSummaries(settings.user_half_life_days, settings.active, latents)
        #: (D', ) weights that serve; None serves the base as it is.
        self.weights: Tensor | None = None
        #: Moment of the newest event, ms UTC; None where there is no time.
        self.now: int | None = None
        #: (H,) items that stand elsewhere than the base has them, rising, and (H, D) where.
        self.hot: NDArray[np.int64] = np.empty(0, np.int64)
        self._places = torch.empty(0, base.width)

    @property
    def width(self) -> int:
        """D."""
        return self.base.width

    @made_once
    def item_vectors(self) -> Tensor:
        """(I, D) float32. See `vectors_at` for a few of them."""
        vectors = self.base.item_vectors
        if len(self.hot):
            vectors = vectors.clone()
            vectors[torch.from_numpy(self.hot)] = self._places.to(vectors.device)
        return vectors

    def user_vectors(self, histories: Sequence[UserHistory]) -> Tensor:
        """(B, D) float32, each from its own history alone."""
        plain = self.base.user_vectors(histories)
        if self.weights is None or not len(histories):
            return plain
        moments = [self.now] * len(histories)
        seen = torch.from_numpy(self.users.read(histories, moments))
        active = torch.from_numpy(self.users.activity(histories, moments))
        with torch.no_grad():
            known = plain.cpu()
            lengths = known.norm(dim=-1, keepdim=True).clamp(min=1e-6)
            room = (0, 0, 0, max(0, SAME_KERNEL_ROWS - len(known)))
            # Padded, so that what one user gets does not hang on how many others are in the batch.
            moved = shift(self._shape, self.weights, USER, pad(known / lengths, room), pad(seen, room))[: len(known)]
            there: Tensor = (known + active[:, None] * lengths * moved).to(plain.device)
            return there

    def moved(self) -> Tensor:
        """(H, D) where the hot items stand."""
        return self._places

    def serving(self, weights: Tensor | None, hot: NDArray[np.int64], moved: Tensor) -> MovedSpace:
        """One that serves these weights, with the hot items where they stood. moved: (H, D)."""
        twin = copy.copy(self)
        vars(twin).pop("item_vectors", None)
        twin.weights, twin.hot, twin._places = weights, hot, moved.cpu()
        return twin

    def refreshed(self, weights: Tensor | None, summaries: ItemSummaries) -> MovedSpace:
        """One that serves these weights, with every hot item where it now belongs; what has cooled goes back."""
        if weights is None:
            return self.serving(None, np.empty(0, np.int64), torch.empty(0, self.width))
        base, hot = self.base.item_vectors, summaries.hot()
        places = [torch.empty(0, self.width)]
        for start in range(0, len(hot), _BLOCK):
            items = hot[start : start + _BLOCK]
            rows = torch.from_numpy(items)
            features = torch.from_numpy(summaries.read(items))
            active = torch.from_numpy(summaries.activity(items, self._settings.active))
            room = (0, 0, 0, _BLOCK - len(items))
            with torch.no_grad():
                moved = shift(self._shape, weights, ITEM, pad(self.collaborative[rows], room), pad(features, room))
                places.append(base[rows].cpu() + active[:, None] * moved[: len(items)])
        return self.serving(weights, hot, torch.cat(places))


def at_rest(space: VectorSpace) -> VectorSpace:
    """The stage whose items stand where the fit put them."""
    return space.base if isinstance(space, MovedSpace) else space


def vectors_at(space: VectorSpace, items: Tensor) -> Tensor:
    """(..., D) where some items stand, without a copy of the whole table. items: (...) dense, on any device."""
    table = at_rest(space).item_vectors
    found = table[items.to(table.device)]
    if isinstance(space, MovedSpace) and len(space.hot):
        hot, asked = torch.from_numpy(space.hot), items.cpu().flatten()
        place = torch.searchsorted(hot, asked).clamp(max=len(hot) - 1)
        moved = hot[place] == asked
        found.view(-1, space.width)[moved.to(table.device)] = space.moved()[place[moved]].to(table.device)
    return found
