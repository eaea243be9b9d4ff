"""Features that go missing or wrong: how many, which, and what stays as it was."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.catalogue.content import Modality
from dynmm.catalogue.corruption import FULL, Condition, Corruption, corrupt, drop
from dynmm.catalogue.features import Attributes, Features
from dynmm.errors import ConfigError, UnsupportedByData

RNG = np.random.default_rng(0)
MISSING = np.array([0, 3])


def features(modality: Modality, items: int = 40, width: int = 5, *, named: bool = False) -> Features:
    """Rows that all differ, of two items without the modality; each dimension has a mean and spread of its own."""
    present = np.ones(items, np.bool_)
    present[MISSING] = False
    vectors = (RNG.standard_normal((items, width)) * (1 + np.arange(width)) + 10 * np.arange(width)).astype(np.float32)
    quality = np.where(present, RNG.random(items), 0).astype(np.float32)
    values = np.where(present[:, None], RNG.random((items, 2)), np.nan).astype(np.float32)
    attributes = Attributes(("dark", "red"), values) if named else None
    return Features(modality, "some", "some/1", vectors * present[:, None], present, quality, attributes)


def changed(before: Features, after: Features) -> set[int]:
    return set(np.flatnonzero((before.vectors != after.vectors).any(axis=1)).tolist())


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.integers(0, 99))
def test_a_dropped_modality_is_gone_from_its_share_and_from_nobody_else(rate: float, seed: int) -> None:
    both = [features("text"), features("image")]
    text, image = drop(both, "image", rate, seed)
    assert text is both[0]
    lost = both[1].present & ~image.present
    assert lost.sum() == round(rate * 38)
    assert not image.vectors[~image.present].any()
    assert not image.quality[~image.present].any()
    assert (image.vectors[image.present] == both[1].vectors[image.present]).all()


@pytest.mark.parametrize("kind", get_args(Corruption))
def test_corruption_changes_vectors_alone_and_its_share_of_them(kind: Corruption) -> None:
    whole = features("image")
    (after,) = corrupt([whole], "image", kind, 0.5, seed=3)
    assert len(changed(whole, after)) == 19
    assert not changed(whole, after) & set(MISSING.tolist())
    assert (after.present == whole.present).all()
    assert (after.quality == whole.quality).all()
    assert after.vectors.dtype == np.float32
    assert after.identity != whole.identity


@pytest.mark.parametrize("kind", get_args(Corruption))
def test_a_higher_rate_hits_the_same_items_and_more(kind: Corruption) -> None:
    whole = features("image")
    hit = [changed(whole, corrupt([whole], "image", kind, rate, 1)[0]) for rate in (0, 0.25, 0.5, 1)]
    assert not hit[0]
    assert hit[1] < hit[2] < hit[3]
    assert len(hit[3]) == 38
    few, many = (corrupt([whole], "image", kind, rate, 1)[0].vectors for rate in (0.25, 1))
    rows = sorted(hit[1])
    assert (few[rows] == many[rows]).all()
    dropped = whole.present & ~drop([whole], "image", 0.25, 1)[0].present
    assert set(np.flatnonzero(dropped).tolist()) == hit[1]


@pytest.mark.parametrize("kind", get_args(Corruption))
def test_the_seed_decides(kind: Corruption) -> None:
    whole = features("image")
    one, same, other = (corrupt([whole], "image", kind, 0.5, seed)[0] for seed in (1, 1, 2))
    assert (one.vectors == same.vectors).all()
    assert changed(whole, one) != changed(whole, other)


def test_the_wrong_vector_is_another_items_with_its_attributes() -> None:
    whole = features("image", named=True)
    (after,) = corrupt([whole], "image", "wrong", 1.0)
    assert whole.attributes is not None
    assert after.attributes is not None
    taken = [int(np.flatnonzero((whole.vectors == row).all(axis=1))[0]) for row in after.vectors[whole.present]]
    owners = np.flatnonzero(whole.present)
    assert sorted(taken) == owners.tolist()
    assert not (np.array(taken) == owners).any()
    assert (after.attributes.values[owners] == whole.attributes.values[taken]).all()


def test_noise_matches_each_dimension_and_has_no_attributes() -> None:
    whole = features("audio", items=4_000, named=True)
    (after,) = corrupt([whole], "audio", "noise", 1.0)
    known = whole.present
    assert after.vectors[known].mean(axis=0) == pytest.approx(whole.vectors[known].mean(axis=0), abs=0.35)
    assert after.vectors[known].std(axis=0) == pytest.approx(whole.vectors[known].std(axis=0), rel=0.06)
    assert after.attributes is not None
    assert np.isnan(after.attributes.values[known]).all()


def test_two_encoders_of_a_modality_are_hit_together() -> None:
    twice = [features("image"), features("image", width=3)]
    first, second = drop(twice, "image", 0.5, 4)
    assert (first.present == second.present).all()


def test_what_cannot_be_done_is_said() -> None:
    whole = features("image")
    with pytest.raises(ConfigError, match="no modality 'audio'; there is: image"):
        drop([whole], "audio")
    with pytest.raises(ConfigError, match=r"between 0 and 1, not 1\.5"):
        drop([whole], "image", 1.5)
    with pytest.raises(ConfigError, match="not nan"):
        Condition("drop", ("image",), float("nan"))
    with pytest.raises(ConfigError, match="noise or wrong"):
        corrupt([whole], "image", "blur")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="names at least one"):
        Condition("drop")
    with pytest.raises(UnsupportedByData, match="only one item has image"):
        corrupt([whole.without(np.arange(40) != 5)], "image", "wrong")


def test_a_condition_is_applied_by_its_name() -> None:
    both = [features("text"), features("image")]
    assert FULL.applied(both, 0) == both
    assert FULL.name == "full"
    gone = Condition("drop", ("text", "image"))
    assert gone.name == "drop text+image=1"
    assert not any(one.present.any() for one in gone.applied(both, 0))
    half = Condition("wrong", ("image",), 0.5)
    assert half.name == "wrong image=0.5"
    expected = corrupt(both, "image", "wrong", 0.5, 7)
    assert all((a.vectors == b.vectors).all() for a, b in zip(half.applied(both, 7), expected, strict=True))


def test_nothing_to_hit_changes_nothing() -> None:
    nowhere = features("image").without(np.ones(40, np.bool_))
    assert corrupt([nowhere], "image", "noise")[0] is nowhere
    assert not drop([nowhere], "image")[0].present.any()
