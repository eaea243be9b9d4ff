"""The demo's world: what the fit may see, what comes after it, and what is made where decoders are missing."""

from __future__ import annotations

import numpy as np
import pytest

from dynmm.catalogue.content import AUDIO, IMAGE, TEXT
from dynmm.demo import worlds
from dynmm.demo.worlds import world_with_newcomers

SMALL = {"users": 30, "items": 40, "events": 500, "newcomers": 5}


def test_newcomers_are_unknown_to_the_fit() -> None:
    new = world_with_newcomers(3, **SMALL)
    late = set(new.items["item_id"])
    assert len(late) == 5
    assert not late & set(new.data.items.ids)
    assert new.data.media_rows is not None
    assert new.media is not None
    assert not late & set(new.data.media_rows["item_id"])
    assert set(new.media["item_id"]) == late
    assert late | set(new.data.items.ids) == set(new.world.item_ids)


def test_another_seed_is_another_world_with_other_newcomers() -> None:
    one, other = world_with_newcomers(3, **SMALL), world_with_newcomers(4, **SMALL)
    assert set(one.items["item_id"]) != set(other.items["item_id"])
    assert not np.array_equal(one.world.item_tastes, other.world.item_tastes)


def test_the_truth_of_all_senses_sums_to_one_where_each_taste_shows_in_one() -> None:
    new = world_with_newcomers(3, **SMALL)
    user, item = new.world.user_ids[7], new.items["item_id"][0]
    shares = [new.owed_to(modality, user, item) for modality in (TEXT, IMAGE, AUDIO)]
    assert sum(shares) == pytest.approx(1.0)
    assert max(shares) > 1 / 3


@pytest.mark.parametrize(("missing", "left"), [("soundfile", {"image"}), ("PIL", {"audio"}), ("", {"image", "audio"})])
def test_only_what_can_be_decoded_here_is_made(missing: str, left: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    everything = world_with_newcomers(3, **SMALL)
    monkeypatch.setattr(worlds, "_installed", lambda module: module != missing)
    new = world_with_newcomers(3, **SMALL)
    assert new.media is not None
    assert set(new.media["modality"]) == left
    assert np.array_equal(new.data.events.items, everything.data.events.items)


def test_a_world_without_decoders_has_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "_installed", lambda module: False)
    new = world_with_newcomers(3, **SMALL)
    assert new.media is None
    assert new.data.media_rows is None
