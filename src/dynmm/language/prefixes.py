"""Re-ranking that reads a user's prefix once: its states are kept, and only candidates are read anew.

B questions, C candidates, P tokens of the head.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynmm.language.past import Apart, Past
from dynmm.language.ranker import LanguageRanker
from dynmm.language.slates import Shelf, Slates

logger = logging.getLogger(__name__)

#: Memory that kept states may take where nothing else is said.
MOST_BYTES = 512 * 2**20

#: (model, trained parts, state of the user).
Key = tuple[str, str, bytes]


@dataclass(frozen=True, eq=False)
class PrefixState:
    """What the model made of one head. past: of one row. real: (1, P) bool."""

    past: Past
    real: Tensor


class PrefixCache:
    """A `LanguageRanker` in evaluation mode that remembers heads, the latest used ones. See `contracts.Reranker`.

    A state is found by the parameters of the model and of the trained parts, and by a hash of everything in the head
    that is the user's: the user's vector, the history, and the vectors of its items. So nothing crosses users, nor
    versions of a user, of an item's vector or of the weights. What a row gets is what the ranker would give it, but
    for rounding; on a processor a kept state is the same to the bit whichever questions it was read with. Safe to use
    from several threads. Encoders keep no states: they are read whole, which is logged.
    """

    def __init__(self, ranker: LanguageRanker, entries: int, *, most_bytes: int = MOST_BYTES) -> None:
        """entries: most states; 0 keeps none. most_bytes: of all states together."""
        self.ranker = ranker
        self.hits = self.misses = self.bytes = 0
        self._entries, self._most_bytes = entries, most_bytes
        self._states: OrderedDict[Key, PrefixState] = OrderedDict()
        self._items = _ItemDigests()
        self._lock = threading.Lock()
        #: Times that everything was forgotten.
        self._cleared = 0
        if entries and not ranker.model.caches:
            logger.info("the language model is an encoder and keeps no prefix: every question is read whole")

    def __len__(self) -> int:
        return len(self._states)

    @property
    def keeps(self) -> bool:
        """Whether states are kept at all."""
        return self._entries > 0 and self.ranker.model.caches

    def clear(self) -> None:
        """Forget every state."""
        with self._lock:
            self._states.clear()
            self.bytes = 0
            self._cleared += 1

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) float32 scores, 0 at padding."""
        return self.score(slates, shelf)

    @torch.no_grad()
    def score(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) float32 scores, 0 at padding. Raises ModelError."""
        ranker = self.ranker
        assert not ranker.training, "states of a ranker that drops at random must not be kept"
        if not self.keeps or not slates.items.numel():
            return ranker(slates, shelf)  # type: ignore[no-any-return]
        slates = slates.to(ranker.device)
        keys = self._keys(slates, shelf)
        states = self._found(keys)
        if missing := {key: row for row, key in enumerate(keys) if key not in states}:
            rows = torch.tensor(list(missing.values()), device=ranker.device)
            states |= self._read(list(missing), slates.take(rows), shelf)
        used = [states[key] for key in keys]
        past = used[0].past if len(used) == 1 else Apart(tuple(one.past for one in used))
        real = torch.cat([one.real for one in used])
        return ranker.score_after(slates, shelf, ranker.evidence(slates, shelf), real, past)

    def _keys(self, slates: Slates, shelf: Shelf) -> list[Key]:
        history = self.ranker.newest(slates, self.ranker.fitted(slates.items.shape[1]).history)
        users, items = slates.users.cpu().numpy(), history.cpu().numpy()
        model, trained = self.ranker.model.identity, self.ranker.identity
        read = self._items.of(history, shelf.vectors)
        return [(model, trained, _digest(*row)) for row in zip(users, items, read, strict=True)]

    def _found(self, keys: list[Key]) -> dict[Key, PrefixState]:
        found = {}
        with self._lock:
            for key in keys:
                if key in self._states:
                    self._states.move_to_end(key)
                    found[key] = self._states[key]
            self.hits += sum(key in found for key in keys)
            self.misses += sum(key not in found for key in keys)
        return found

    def _read(self, keys: list[Key], slates: Slates, shelf: Shelf) -> dict[Key, PrefixState]:
        """The states of these heads, which are kept unless `clear` came meanwhile. slates: a row for each."""
        cleared = self._cleared
        # A processor's last bits hang on the number of rows. One by one, a state is the same in any company.
        size = 1 if self.ranker.device.type == "cpu" else len(keys)
        history = self.ranker.fitted(slates.items.shape[1]).history
        read = {}
        for start in range(0, len(keys), size):
            head = self.ranker.head(slates.take(slice(start, start + size)), shelf, history)
            past: Past = self.ranker.run_head(head)
            for row, key in enumerate(keys[start : start + size]):
                # Copies, so that one row does not keep the whole batch in memory.
                layers = ((k[row : row + 1].clone(), v[row : row + 1].clone()) for k, v in past.layers)
                read[key] = PrefixState(Past(tuple(layers)), head.real[row : row + 1].clone())
        with self._lock:
            # What is read for a user who is deleted meanwhile serves this question and stays nowhere.
            if cleared == self._cleared:
                for key, state in read.items():
                    self._keep(key, state)
        return read

    def _keep(self, key: Key, state: PrefixState) -> None:
        if key in self._states or state.past.bytes > self._most_bytes:
            return
        self._states[key] = state
        self.bytes += state.past.bytes
        while len(self._states) > self._entries or self.bytes > self._most_bytes:
            _, oldest = self._states.popitem(last=False)
            self.bytes -= oldest.past.bytes


class _ItemDigests:
    """Digests of the vectors of items: a history is hashed by these, which is as safe and reads far less."""

    def __init__(self) -> None:
        self._known: tuple[Tensor, int, dict[int, bytes]] = (torch.empty(0), 0, {})

    def of(self, history: Tensor, vectors: Tensor) -> list[NDArray[np.uint8]]:
        """A row of digests for each history (B, N). vectors: (I, D), of the items as they are now."""
        known, version, found = self._known
        # The same memory, not written to since: the one that is held cannot be given to another tensor.
        same = known.data_ptr() == vectors.data_ptr() and known.shape == vectors.shape
        if not same or version != vectors._version:
            found = {}
            self._known = (vectors, vectors._version, found)
        rows = history.clamp(min=0).tolist()
        for item in {item for row in rows for item in row}:
            if item not in found:  # a difference of the two would walk through every item that is known
                found[item] = _digest(vectors[item].cpu().numpy())
        return [np.frombuffer(b"".join(found[item] for item in row), np.uint8) for row in rows]


def _digest(*parts: NDArray[Any]) -> bytes:
    """Of arrays, their shapes and types."""
    digest = hashlib.sha256()
    for one in parts:
        digest.update(f"{one.dtype}{one.shape}".encode())
        digest.update(np.ascontiguousarray(one).reshape(-1).view(np.uint8).data)
    return digest.digest()
