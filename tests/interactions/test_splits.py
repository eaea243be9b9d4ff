"""Splits: every event in one part, in order, nothing of the future in training, refusals with their reason."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dynmm.errors import ConfigError, EmptyDataError, UnsupportedByData
from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.loading import data_sha256
from dynmm.interactions.splits import TEST, TRAIN, UNUSED, VALIDATION, Split, SplitConfig, make_split

NOW = 1_600_000_000_000
Make = Callable[..., Dataset]

CONFIGS: list[dict[str, Any]] = [
    {"name": "none"},
    {"name": "full", "k_core": 0},
    {"name": "full", "k_core": 3},
    {"name": "holdout", "by": "user"},
    {"name": "holdout", "by": "time"},
    {"name": "cold", "cold_min_targets": 1},
    {"name": "cold", "cold_min_targets": 10_000, "cold_hidden_share": 0.3},
    {"name": "stream"},
]


def sequences(text: str, **columns: Any) -> Dataset:
    """Users of events in order, e.g. "abc de" is two users; positions give the order."""
    rows = [(f"u{u}", item, p) for u, word in enumerate(text.split()) for p, item in enumerate(word)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "position"], orient="row").with_columns(**columns)
    return Dataset.from_frames(frame)


def asked(split: Split, cases: Cases) -> list[tuple[str, str, str]]:
    """(user, history, targets) of each case, in words."""
    ids = split.source.items
    return [
        (
            split.source.users.decode(int(cases.users[q])),
            "".join(ids.decode(int(i)) for i in cases.history(q).items),
            "".join(ids.decode(int(i)) for i in cases.targets(q)),
        )
        for q in range(len(cases))
    ]


def test_full_leaves_the_last_out_and_shows_the_validation_event_at_test() -> None:
    split = make_split(sequences("abcd xy abc"), SplitConfig(name="full", k_core=0), 0)
    assert split.test is not None
    assert asked(split, split.test) == [("u0", "abc", "d"), ("u2", "ab", "c")]
    assert asked(split, split.validation) == [("u0", "ab", "c"), ("u2", "a", "b")]
    assert split.train.validation is split.validation
    assert split.parts.tolist() == [TRAIN, TRAIN, VALIDATION, TEST, TRAIN, TRAIN, TRAIN, VALIDATION, TEST]
    assert split.counts["users who only train"] == 1
    assert split.refit_train is None
    assert split.test.as_of is None


def test_holdout_by_user_takes_the_last_tenths_and_leaves_short_users_to_training() -> None:
    split = make_split(sequences("abcdefghijklmnopqrst abcd abcde"), SplitConfig(name="holdout"), 0)
    assert split.test is not None
    assert asked(split, split.test) == [("u0", "abcdefghijklmnopqr", "st"), ("u2", "abcd", "e")]
    assert asked(split, split.validation) == [("u0", "abcdefghijklmnop", "qr"), ("u2", "abc", "d")]
    assert split.counts["users who only train"] == 1


def timed(rows: list[tuple[str, str, int]]) -> Dataset:
    frame = pl.DataFrame(
        [(u, i, NOW + 1000 * t) for u, i, t in rows], schema=["user_id", "item_id", "timestamp"], orient="row"
    )
    return Dataset.from_frames(frame)


def test_holdout_by_time_asks_once_per_user_at_the_boundary_and_counts_users_without_history() -> None:
    rows = [("a", f"i{t}", t) for t in range(9)] + [("new", "i1", 9), ("a", "i2", 9)]
    split = make_split(timed(rows), SplitConfig(name="holdout", by="time"), 0)
    assert split.variant == "time"
    assert split.test is not None
    assert split.test.as_of is not None
    assert [(u, t) for u, _, t in asked(split, split.test)] == [("a", "i2")]
    assert split.test.as_of.tolist() == [NOW + 9000]
    assert split.counts["test events"] == 2
    assert split.counts["test events of users without history"] == 1
    assert "test targets already in the history" in split.counts
    assert split.counts["test targets already in the history"] == 1


def test_an_item_held_out_twice_is_one_target() -> None:
    rows = [("a", f"i{t}", t) for t in range(8)] + [("a", "again", 8), ("a", "again", 9), ("a", "other", 9)]
    config = SplitConfig(name="holdout", by="time", test_share=0.25)
    split = make_split(timed(rows), config, 0)
    assert split.test is not None
    assert [targets for _, _, targets in asked(split, split.test)] == ["againother"]
    assert split.counts["test events"] == 3


@pytest.mark.parametrize("words", [("train", "val", "test"), ("TRN", "valid", "tst")])
def test_holdout_given_takes_the_parts_that_the_data_names(words: tuple[str, str, str]) -> None:
    train, val, test = words
    data = sequences("abcd xyz", split=pl.Series([train, train, val, test, train, test, test]))
    split = make_split(data, SplitConfig(name="holdout"), 0)
    assert split.variant == "given"
    assert split.test is not None
    assert asked(split, split.test) == [("u0", "abc", "d"), ("u1", "x", "yz")]
    assert asked(split, split.validation) == [("u0", "ab", "c")]


def test_a_given_split_without_validation_selects_on_training_events() -> None:
    data = sequences("abcd wxyz", split=pl.Series(["train"] * 3 + ["test"] + ["train"] * 3 + ["test"]))
    split = make_split(data, SplitConfig(name="holdout"), 0)
    assert asked(split, split.validation) == [("u0", "ab", "c"), ("u1", "wx", "y")]
    assert any("no validation part" in note for note in split.notes)


def test_a_given_split_out_of_order_is_said() -> None:
    data = sequences("abc", split=pl.Series(["train", "test", "val"]))
    assert any("1 users have" in note for note in make_split(data, SplitConfig(name="holdout"), 0).notes)


def test_a_given_split_needs_no_order_and_says_so() -> None:
    frame = pl.DataFrame(
        [("u0", "a", "train"), ("u0", "b", "test"), ("u0", "c", "train"), ("u0", "d", "val"), ("u0", "e", "test")],
        schema=["user_id", "item_id", "split"],
        orient="row",
    )
    data = Dataset.from_frames(frame, info=DatasetInfo(time_resolution="none"))
    split = make_split(data, SplitConfig(name="holdout"), 0)
    assert split.variant == "given"
    assert split.test is not None
    assert asked(split, split.test) == [("u0", "acd", "be")]
    assert asked(split, split.validation) == [("u0", "ac", "d")]
    assert split.test.as_of is None
    assert any("histories are sets" in note for note in split.notes)


def test_the_given_split_of_real_data_without_order(real_data: Callable[[str], Dataset]) -> None:
    data = real_data("tiktok-mm")
    assert not data.has_order
    split = make_split(data, SplitConfig(name="holdout"), 0)
    assert split.variant == "given"
    assert split.test is not None
    sizes = [int((split.parts == part).sum()) for part in (TRAIN, VALIDATION, TEST)]
    assert data.given_split is not None
    assert sizes == [int((data.given_split == word).sum()) for word in ("train", "val", "test")]
    assert len(split.train.events) == sizes[0]
    asked_and_orphaned = len(split.test.target_items) + split.counts["test events of users without history"]
    assert asked_and_orphaned == sizes[2]
    assert split.counts["test targets already in the history"] == 0


def test_cold_asks_only_for_items_that_training_has_hardly_seen() -> None:
    split = make_split(
        sequences("abcd abce bcad bcad dcab"), SplitConfig(name="cold", cold_min_targets=1, cold_below=2), 0
    )
    assert split.variant == "few"
    assert split.test is not None
    assert split.cold_items is not None
    cold = {item for item, is_cold in zip(split.source.items.ids, split.cold_items, strict=True) if is_cold}
    trained = np.bincount(split.train.events.items, minlength=split.source.n_items)
    assert cold == {item for item, count in zip(split.source.items.ids, trained, strict=True) if count < 2}
    assert [target for _, _, target in asked(split, split.test)] == ["d", "e", "d", "d"]
    assert split.parts[-1] == UNUSED
    assert split.counts["unused: last events on other items"] == 1


def test_hidden_items_are_nowhere_in_training_nor_in_histories(random_data: Make) -> None:
    config = SplitConfig(name="cold", cold_min_targets=10_000, cold_hidden_share=0.25)
    split = make_split(random_data(5), config, 1)
    assert split.variant == "hidden"
    assert split.cold_items is not None
    assert split.test is not None
    hidden = np.flatnonzero(split.cold_items)
    assert len(hidden) == 5
    assert not np.isin(split.train.events.items, hidden).any()
    assert not np.isin(split.test.history_items, hidden).any()
    assert not np.isin(split.validation.target_items, hidden).any()
    assert np.isin(split.test.target_items, hidden).all()
    # One draw for everybody: runs of several seeds are averaged over the same cases.
    other = make_split(random_data(5), config, 2)
    assert other.cold_items is not None
    assert split.cold_items.tolist() == other.cold_items.tolist()


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("full", {"by": "time"}),
        ("stream", {"cold_below": 3}),
        ("none", {"test_share": 0.2}),
        ("full", {"min_events": 9}),
    ],
)
def test_an_option_of_another_kind_is_refused(random_data: Make, name: str, option: dict[str, object]) -> None:
    config = SplitConfig.model_validate({"name": name, **option})
    with pytest.raises(ConfigError, match=f"split.{next(iter(option))} is for"):
        make_split(random_data(5), config, 0)


def test_cold_without_order_hides_items_and_uses_sets(random_data: Make) -> None:
    split = make_split(random_data(5, time="none"), SplitConfig(name="cold"), 1)
    assert split.variant == "hidden"
    assert split.test is not None
    assert (np.diff(split.test.target_offsets) >= 1).all()


def test_none_trains_on_everything_in_the_end(random_data: Make) -> None:
    data = random_data(2)
    split = make_split(data, SplitConfig(), 0)
    assert split.test is None
    assert split.refit_train is not None
    assert data_sha256(split.refit_train) == data_sha256(data)
    assert len(split.train.events) + len(split.validation) == len(data.events)


def test_none_on_users_with_few_events_selects_nothing() -> None:
    split = make_split(sequences("ab c"), SplitConfig(), 0)
    assert len(split.validation) == 0
    assert len(split.train.events) == 3


def test_stream_replays_the_last_part_in_time_order_and_keeps_ties_together() -> None:
    rows = [("a", f"i{t}", t) for t in range(6)] + [("b", f"i{t}", 6) for t in range(3)] + [("a", "late", 9)]
    split = make_split(timed(rows), SplitConfig(name="stream"), 0)
    assert split.stream is not None
    assert split.stream.timestamps is not None
    assert ((split.stream.timestamps - NOW) // 1000).tolist() == [6, 6, 6, 9]
    assert split.refit_train is not None
    assert len(split.refit_train.events) == 6
    assert asked(split, split.validation) == [("a", "i0i1i2i3i4", "i5")]
    assert split.train.item_counts().sum() == 5


@pytest.mark.parametrize(
    ("time", "config", "reason"),
    [
        ("none", {"name": "full", "k_core": 0}, "full.*needs the order of each user's events.*neither timestamps"),
        ("none", {"name": "holdout", "by": "user"}, "needs the order.*neither timestamps nor positions"),
        ("order", {"name": "holdout", "by": "time"}, "needs a timestamp for every event.*only the order"),
        ("order", {"name": "stream"}, "stream.*needs a timestamp for every event.*only the order"),
        ("second", {"name": "holdout", "by": "given"}, "needs a column 'split'"),
    ],
)
def test_what_the_data_cannot_support_is_refused_with_the_reason(
    random_data: Make, time: str, config: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnsupportedByData, match=reason):
        make_split(random_data(1, time=time), SplitConfig(**config), 0)


def test_more_refusals() -> None:
    with pytest.raises(UnsupportedByData, match="needs users with at least 3 events"):
        make_split(sequences("ab cd"), SplitConfig(name="full", k_core=0), 0)
    with pytest.raises(UnsupportedByData, match="needs users with at least 5 events"):
        make_split(sequences("abcd"), SplitConfig(name="holdout"), 0)
    with pytest.raises(EmptyDataError, match=r"the 5-core of 'data' is empty.*split\.k_core"):
        make_split(sequences("abcd"), SplitConfig(name="full"), 0)
    same = timed([("a", "x", 0), ("b", "y", 0)])
    for config in ({"name": "stream"}, {"name": "holdout", "by": "time"}):
        with pytest.raises(UnsupportedByData, match="share one timestamp"):
            make_split(same, SplitConfig.model_validate(config), 0)
    partial = Dataset.from_frames(
        pl.DataFrame({"user_id": ["a", "a"], "item_id": ["x", "y"], "timestamp": [NOW, None]}), info=DatasetInfo()
    )
    with pytest.raises(UnsupportedByData, match="only some of its rows"):
        make_split(partial, SplitConfig(name="full", k_core=0), 0)
    with pytest.raises(ValidationError):
        SplitConfig(name="full", k_core=-1)


def pairs(split: Split, cases: Cases) -> set[tuple[int, int]]:
    owners = np.repeat(cases.users, np.diff(cases.target_offsets))
    return set(zip(owners.tolist(), cases.target_items.tolist(), strict=True))


def rows_of(split: Split, *codes: int) -> set[tuple[int, int]]:
    marks = np.isin(split.parts, codes)
    events = split.source.events
    return set(zip(events.users[marks].tolist(), events.items[marks].tolist(), strict=True))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), config=st.sampled_from(CONFIGS), seconds=st.sampled_from([5, 40, 10**6]))
def test_every_event_is_in_one_part_and_nothing_is_lost(
    random_data: Make, seed: int, config: dict[str, Any], seconds: int
) -> None:
    data = random_data(seed, users=12, items=10, events=150, seconds=seconds)
    try:
        split = make_split(data, SplitConfig(**config), seed)
    except (UnsupportedByData, EmptyDataError):
        return
    source, parts = split.source, split.parts
    assert len(parts) == len(source.events)
    counted = source.left_out.get("outside the 3-core", 0)
    assert len(source.events) + counted == len(data.events)
    assert len(split.train.events) == (parts == TRAIN).sum()
    assert np.array_equal(split.train.events.items, source.events.items[parts == TRAIN])
    assert split.counts["unused events"] == (parts == UNUSED).sum()
    explained = sum(count for name, count in split.counts.items() if name.startswith("unused: "))
    assert split.counts["unused events"] == explained
    assert pairs(split, split.validation) <= rows_of(split, VALIDATION)
    if split.stream is not None:
        assert len(split.stream) == (parts == TEST).sum()
    if split.test is not None:
        assert pairs(split, split.test) <= rows_of(split, TEST)
        asking = np.isin(source.events.users, split.test.users)
        lost = split.counts["test events of users without history"]
        assert ((parts == TEST) & ~asking).sum() == lost


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), config=st.sampled_from([c for c in CONFIGS if c["name"] != "none"]))
def test_no_future_in_training_and_histories_end_before_their_targets(
    random_data: Make, seed: int, config: dict[str, Any]
) -> None:
    data = random_data(seed, users=12, items=10, events=150)
    try:
        split = make_split(data, SplitConfig(**config), seed)
    except (UnsupportedByData, EmptyDataError):
        return
    users, times = split.source.events.users, split.source.events.timestamps
    assert times is not None
    for user in range(split.source.n_users):
        own = users == user
        newest = [times[own & (split.parts == code)] for code in (TRAIN, VALIDATION, TEST)]
        for earlier, later in pairwise(newest):
            assert not len(earlier) or not len(later) or earlier.max() <= later.min()
    for cases in (split.validation, split.test):
        if cases is None or cases.as_of is None or cases.history_times is None:
            continue
        for case in range(len(cases)):
            history = cases.history(case)
            assert history.timestamps is not None
            assert len(history) > 0
            assert (np.diff(history.timestamps) >= 0).all()
            assert history.timestamps[-1] <= cases.as_of[case]
    if config["name"] == "stream" or config.get("by") == "time":
        assert times[split.parts == TRAIN].max() < times[split.parts == TEST].min()


@pytest.mark.parametrize("config", CONFIGS)
def test_the_same_seed_gives_the_same_split(random_data: Make, config: dict[str, Any]) -> None:
    one, other = (make_split(random_data(4), SplitConfig(**config), 11) for _ in range(2))
    assert one.parts.tolist() == other.parts.tolist()
    assert one.validation.target_items.tolist() == other.validation.target_items.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "users", "items"), [("ml-1m", 6_040, 3_416), ("amazon14-beauty", 22_363, 12_101)])
def test_the_public_leaderboards_have_their_sizes(
    real_data: Callable[[str], Dataset], name: str, users: int, items: int
) -> None:
    split = make_split(real_data(name), SplitConfig(name="full"), 0)
    assert split.test is not None
    assert (split.source.n_users, split.source.n_items) == (users, items)
    assert len(split.test) == users
