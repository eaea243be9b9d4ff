"""Several that opened the same run: what one writes, the others take into account before they write."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assembly.live.made import state_of

from dynmm import Recommender
from dynmm.assembly.snapshotting import live_sha256
from dynmm.assembly.whole import whole_of
from dynmm.errors import DataError


def test_an_item_that_others_added_meanwhile_is_known(run: Path) -> None:
    """In twice, its id would have one place and its latent two, and all that comes later the latent of another."""
    early = Recommender.from_pretrained(run)
    with Recommender.from_pretrained(run) as other:
        other.add_items([{"item_id": "fresh", "title": "Film 7"}])
    with early:
        with pytest.raises(DataError, match="'fresh' is known already; add_items takes new ones"):
            early.add_items([{"item_id": "own", "title": "Film 8"}, {"item_id": "fresh", "title": "Film 7"}])
        early.add_items([{"item_id": "own", "title": "Film 8"}])
        joint = whole_of(early).joint
        assert joint is not None
        assert list(early.items.ids[30:]) == ["fresh", "own"]
        assert early.titles[30:] == ("Film 7", "Film 8")
        assert joint.n_items == 32
        state = live_sha256(early)
    assert state_of(run) == state


def test_what_is_known_is_not_taken_in_a_second_time(unsaved: Recommender) -> None:
    table = unsaved.known.item_table.head(1)
    with pytest.raises(DataError, match="item 'i0' is known already"):
        unsaved.admit(table, unsaved.system)
    assert len(unsaved.items) == len(unsaved.titles) == 30
    assert unsaved.added is None
