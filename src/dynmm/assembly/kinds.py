"""Fitted re-rankers by kind, opened when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from dynmm.assembly.rankers import Kept


class Kinds(Mapping[str, Kept]):
    """Kinds in the folder of a run. Each is read when it is first asked for, by any thread, and then kept.

    So a run serves without the language models that it does not use. Asking raises what reading raises: ArtefactError,
    ModelError, and MissingExtraError without the library of language models.
    """

    def __init__(self, ways: Mapping[str, Callable[[], Kept]], folders: Mapping[str, Path]) -> None:
        """ways: read a kind. folders: where it lies."""
        self._ways, self.folders = dict(ways), dict(folders)
        self._opened: dict[str, Kept] = {}
        self._lock = threading.Lock()

    def __getitem__(self, kind: str) -> Kept:
        with self._lock:
            if kind not in self._opened:
                self._opened[kind] = self._ways[kind]()
            return self._opened[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ways)

    def __len__(self) -> int:
        return len(self._ways)

    @property
    def opened(self) -> Mapping[str, Kept]:
        """Those that have been read."""
        with self._lock:
            return dict(self._opened)

    def afresh(self, change: Callable[[Kept], Kept]) -> Kinds:
        """The same kinds, those that are in memory changed now: the former ones are held no longer."""
        twin = Kinds(self._ways, self.folders)
        twin._opened = {kind: change(kept) for kind, kept in self.opened.items()}
        return twin


def opened(fitted: Mapping[str, Kept]) -> Mapping[str, Kept]:
    """Those of fitted kinds that are in memory: all but what a `Kinds` has not read yet."""
    return fitted.opened if isinstance(fitted, Kinds) else fitted


def changed(fitted: Mapping[str, Kept], change: Callable[[Kept], Kept]) -> Mapping[str, Kept]:
    """The same kinds, each changed when it is first asked for."""
    folders = fitted.folders if isinstance(fitted, Kinds) else {}
    return Kinds({kind: partial(_changed, fitted, kind, change) for kind in fitted}, folders)


def afresh(fitted: Mapping[str, Kept], change: Callable[[Kept], Kept]) -> Mapping[str, Kept]:
    """See `Kinds.afresh`; of kinds that were fitted here each is in memory."""
    return fitted.afresh(change) if isinstance(fitted, Kinds) else {kind: change(fitted[kind]) for kind in fitted}


def _changed(fitted: Mapping[str, Kept], kind: str, change: Callable[[Kept], Kept]) -> Kept:
    return change(fitted[kind])
