"""Prefixes kept by user: the same scores, nothing crosses users or versions, and a bound."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.reading import HISTORY, ranker
from tests.language.slate_samples import shelf, slates
from tests.language.tiny import CAUSAL

from dynmm.language.layout import Layout
from dynmm.language.prefixes import PrefixCache
from dynmm.language.prompt import Part

SHELF = shelf()
NEAR = 1e-5


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize("kind", CAUSAL)
@torch.no_grad()
def test_a_kept_prefix_gives_the_same_scores(kind: str) -> None:
    made = ranker(kind)
    cache, asked = PrefixCache(made, 100), slates(padding=1)
    first, second = cache(asked, SHELF), cache(asked, SHELF)
    assert (cache.hits, cache.misses) == (12, 12)
    assert _apart(first, made(asked, SHELF)) < NEAR
    assert _apart(first, second) < NEAR


@pytest.mark.parametrize("shown", ["candidate", "segment", "none"])
@pytest.mark.parametrize("arrangement", ["branch", "listwise"])
@torch.no_grad()
def test_every_layout_goes_on_from_its_prefix(arrangement: str, shown: str) -> None:
    made = ranker(layout=Layout(arrangement, HISTORY, 3, shown, 4))  # type: ignore[arg-type]
    cache, asked = PrefixCache(made, 100), slates(padding=2)
    cache(asked, SHELF)
    assert _apart(cache(asked, SHELF), made(asked, SHELF)) < NEAR
    assert cache.hits == 12


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=9), st.lists(st.integers(0, 11), max_size=6))
@torch.no_grad()
def test_neither_company_nor_what_was_kept_before_changes_a_row(asked: list[int], before: list[int]) -> None:
    made, every = ranker(), slates()
    cache = PrefixCache(made, 4)
    if before:
        cache(every.take(torch.tensor(before)), SHELF)
    found = cache(every.take(torch.tensor(asked)), SHELF)
    assert _apart(found, made(every, SHELF)[asked]) < NEAR
    assert len(cache) <= 4


@torch.no_grad()
def test_other_candidates_are_scored_from_the_same_prefix() -> None:
    made = ranker()
    cache, asked = PrefixCache(made, 100), slates()
    cache(asked, SHELF)
    few = asked.places(torch.tensor([[4, 1]]).expand(12, -1))
    assert _apart(cache(few, SHELF), made(few, SHELF)) < NEAR
    assert cache.misses == 12


@torch.no_grad()
def test_another_version_of_a_user_an_item_or_the_weights_is_read_anew() -> None:
    made = ranker()
    cache, asked = PrefixCache(made, 100), slates()
    cache(asked, SHELF)
    history = asked.history.clone()
    history[:, -1] = (history[:, -1] + 1) % len(SHELF)
    moved = replace(SHELF, vectors=SHELF.vectors + 0.5)
    versions = [
        (replace(asked, users=asked.users + 0.5), SHELF),
        (replace(asked, history=history), SHELF),
        (asked, moved),
    ]
    for slate, items in versions:
        misses = cache.misses
        assert _apart(cache(slate, items), made(slate, items)) < NEAR
        assert cache.misses == misses + 12
    made.users.inner.weight.mul_(1.5)
    assert _apart(cache(asked, SHELF), made(asked, SHELF)) < NEAR
    assert cache.misses == 60


@torch.no_grad()
def test_the_latest_used_states_stay_within_both_bounds() -> None:
    made, asked = ranker(), slates()
    cache = PrefixCache(made, 3)
    cache(asked.take(slice(0, 3)), SHELF)
    cache(asked.take(slice(0, 1)), SHELF)
    cache(asked.take(slice(3, 4)), SHELF)
    hits = cache.hits
    cache(asked.take(slice(0, 1)), SHELF)
    assert (cache.hits, len(cache)) == (hits + 1, 3)
    each = cache.bytes // 3
    assert each > 0
    small = PrefixCache(made, 100, most_bytes=2 * each)
    assert _apart(small(asked, SHELF), made(asked, SHELF)) < NEAR
    assert (len(small), small.bytes) == (2, 2 * each)
    small.clear()
    assert (len(small), small.bytes) == (0, 0)


@torch.no_grad()
def test_a_kept_state_is_the_same_to_the_bit_in_any_company() -> None:
    made, asked = ranker(), slates()
    one, many = PrefixCache(made, 100), PrefixCache(made, 100)
    one(asked.take(slice(3, 4)), SHELF)
    many(asked, SHELF)
    alone = asked.take(slice(3, 4))
    assert torch.equal(one(alone, SHELF), many(alone, SHELF))


@torch.no_grad()
def test_a_user_asked_twice_in_a_batch_is_read_once() -> None:
    made = ranker()
    cache = PrefixCache(made, 100)
    asked = slates().take(torch.tensor([2, 2, 5]))
    assert _apart(cache(asked, SHELF), made(asked, SHELF)) < NEAR
    assert len(cache) == 2


@torch.no_grad()
def test_encoders_are_read_whole_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    made, asked = ranker("bert"), slates()
    with caplog.at_level(logging.INFO, "dynmm.language"):
        cache = PrefixCache(made, 100)
    assert "encoder" in caplog.text
    assert torch.equal(cache(asked, SHELF), made(asked, SHELF))
    assert not cache.keeps
    assert len(cache) == 0


@torch.no_grad()
def test_nothing_is_kept_where_nothing_may_be() -> None:
    made, asked = ranker(), slates()
    cache = PrefixCache(made, 0)
    assert torch.equal(cache(asked, SHELF), made(asked, SHELF))
    assert (len(cache), cache.misses) == (0, 0)
    assert PrefixCache(made, 5)(asked.take(slice(0, 0)), SHELF).shape == (0, 6)


@torch.no_grad()
def test_vectors_written_in_place_are_read_anew() -> None:
    made, asked = ranker(), slates()
    cache, own = PrefixCache(made, 100), replace(SHELF, vectors=SHELF.vectors.clone())
    cache(asked, own)
    cache(asked, replace(own, vectors=own.vectors.clone()))
    assert (cache.hits, cache.misses) == (12, 12), "the same vectors elsewhere are the same"
    own.vectors.mul_(1.5)
    assert _apart(cache(asked, own), made(asked, own)) < NEAR
    assert (cache.hits, cache.misses) == (12, 24)


@torch.no_grad()
def test_a_state_that_was_being_read_when_all_were_forgotten_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ranker()
    cache, asked, read = PrefixCache(made, 100), slates(), made.run_head

    def forgets(head: Part) -> object:
        cache.clear()
        return read(head)

    expected = made(asked, SHELF)
    monkeypatch.setattr(made, "run_head", forgets)
    assert _apart(cache(asked, SHELF), expected) < NEAR
    assert (len(cache), cache.bytes) == (0, 0)
