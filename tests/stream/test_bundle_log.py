"""A log in bundles, whose server fails between two of them or lets another writer in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.stream.made import event, ids

from dynmm.errors import StorageError
from dynmm.stream.bundle_log import BundleLog
from dynmm.stream.bundles import Moved, Version


class Shelf:
    """What a server keeps. before_second: what happens when the second bundle of all is to be added, once."""

    largest = 3_000

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.before_second: Callable[[bytes], None] | None = None

    def version(self) -> Version:
        return Version("", len(self.rows))

    def read(self, start: int, stop: int, generation: str) -> Iterator[bytes]:
        return iter(self.rows[start:stop])

    def add(self, known: Version, bundle: bytes) -> None:
        if len(self.rows) == 1 and (happens := self.before_second) is not None:
            self.before_second = None
            happens(bundle)
        if known.length != len(self.rows):
            raise Moved("it has grown")
        self.rows.append(bundle)

    def close(self) -> None: ...


@pytest.mark.parametrize("what", ["fails", "loses the answer", "lets another in"])
def test_what_is_sent_again_after_a_part_was_taken_is_there_once(what: str) -> None:
    shelf = Shelf()
    log, many = BundleLog(shelf, "shelf"), [event(number, user="u" * 300) for number in range(30)]

    def happens(bundle: bytes) -> None:
        if what == "lets another in":
            BundleLog(shelf, "shelf").append([event(99)])
            return
        if what == "loses the answer":
            shelf.rows.append(bundle)
        raise StorageError("the server is gone")

    shelf.before_second = happens
    with pytest.raises(StorageError):
        log.append(many)
    receipt = log.append(many)
    assert receipt.duplicates
    assert len(receipt.accepted) + len(receipt.duplicates) == 30
    found = [one for one in ids(log.read()) if one != "e99"]
    assert found == [one.id for one in many]
