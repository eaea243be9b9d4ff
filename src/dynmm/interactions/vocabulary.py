"""Ids outside are strings; inside they are dense integers that never leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import DataError, UnknownIdError


class Vocabulary:
    """A fixed, ordered set of outside ids; the place of an id is its dense integer."""

    def __init__(self, ids: Sequence[str]) -> None:
        """ids: distinct strings. Raises ValueError where one stands twice."""
        self.ids: Sequence[str] = tuple(ids)
        self._index: dict[str, int] = {outside: dense for dense, outside in enumerate(self.ids)}
        if len(self._index) != len(self.ids):
            raise ValueError("a vocabulary needs distinct ids")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, outside: object) -> bool:
        return str(outside) in self._index

    def encode(self, outside: str | int, *, what: str = "id") -> int:
        """The dense integer of one id. Integers are read as their decimal string.

        Raises UnknownIdError, which names the id and the kind of thing (`what`) that is unknown.
        """
        try:
            return self._index[str(outside)]
        except KeyError:
            raise UnknownIdError(
                f"unknown {what} {str(outside)!r}: this run knows {len(self):,} {what}s, and this is none of them"
            ) from None

    def encode_known(self, outside: Iterable[str | int]) -> NDArray[np.int32]:
        """(N,) int32 dense ids, -1 for each unknown one."""
        return np.fromiter((self._index.get(str(one), -1) for one in outside), dtype=np.int32)

    def decode(self, dense: int) -> str:
        """The outside id of one dense integer."""
        return self.ids[dense]


class OpenVocabulary(Vocabulary):
    """A vocabulary that newcomers join behind the others, each at a cost that does not grow with it."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(ids)
        self._open = self.ids = list(ids)

    def add(self, outside: str) -> int:
        """The dense integer of an id, which becomes known if it was not."""
        dense = self._index.setdefault(outside, len(self._open))
        if dense == len(self._open):
            self._open.append(outside)
        return dense

    def extend(self, outside: Sequence[str], *, what: str = "id") -> None:
        """Let new ids join, all or none: their places must stay in step with what else is known of them.

        Raises DataError, which names the kind of thing (`what`), for one that is known already or stands there twice.
        """
        seen: set[str] = set()
        for one in outside:
            if one in self or one in seen:
                raise DataError(f"{what} {one!r} is known already, and cannot come a second time; leave it out")
            seen.add(one)
        for one in outside:
            self.add(one)


def names_of(ids: Iterable[str | int] | str | int) -> list[str]:
    """Ids as text. One by itself is one, and not its letters."""
    return [str(one) for one in ([ids] if isinstance(ids, str | int) else ids)]
