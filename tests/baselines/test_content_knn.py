"""Content-only item-kNN: the contract, and answers that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from dynmm import baselines
from dynmm.baselines.content_knn import LOWEST, ContentKnn, ContentKnnSettings
from dynmm.catalogue.content import Modality
from dynmm.catalogue.features import Features
from dynmm.errors import ConfigError, DataError
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query, System
from dynmm.testing import SYSTEM_CHECKS, dataset_of
from dynmm.types import UserHistory


def features(modality: Modality, vectors: Sequence[Sequence[float] | None]) -> Features:
    """None stands for an item without the modality."""
    width = max(len(row) for row in vectors if row is not None)
    present = np.array([row is not None for row in vectors])
    values = np.array([row if row is not None else [0.0] * width for row in vectors], np.float32)
    return Features(modality, "hand", "hand/1", values, present, present.astype(np.float32))


def scores(system: System, history: Sequence[int], n_items: int) -> list[float]:
    """The score of each item after this history."""
    found = system.rank([Query(UserHistory(np.asarray(history, np.int32)))], n_items)
    return [float(found.scores[0][found.items[0] == item][0]) for item in range(n_items)]


class OnAnyCatalogue(ContentKnn):
    """Features drawn for whatever data set comes: some items have both modalities, some one, some none."""

    def __init__(self) -> None:
        super().__init__([features("text", [[1.0]])])

    def fit(self, dataset: Dataset) -> None:
        draw = np.random.default_rng(0)
        self._features = [
            features(modality, [row if draw.random() < 0.7 else None for row in draw.random((dataset.n_items, 6))])
            for modality in ("text", "image")
        ]
        super().fit(dataset)


@pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: str(check.__name__))
def test_contract(check: Callable[[Callable[[], System]], None]) -> None:
    check(OnAnyCatalogue)


#: Two directions in text: 0 and 1 point one way, 2 and 3 the other.
TEXT = features("text", [[1, 0], [1, 0], [0, 1], [0, 1], None])
#: In pictures 0 and 2 are alike; 3 has none, 4 is like 1.
IMAGE = features("image", [[1, 0], [0, 1], [1, 0], None, [0, 1]])


def fitted(name: str, seen: Sequence[Features] = (TEXT, IMAGE), items: int = 5, **settings: float) -> System:
    system = baselines.create(name, features=seen, **settings)
    system.fit(dataset_of([[0, 1], [2]], n_items=items))
    return system


def test_what_looks_alike_comes_first_by_each_modality() -> None:
    assert scores(fitted("content-knn-text"), [0], 5) == pytest.approx([1, 1, -1, -1, LOWEST])
    assert scores(fitted("content-knn-image"), [0], 5) == pytest.approx([1, -1, 1, LOWEST, -1])


def test_modalities_in_common_are_averaged() -> None:
    assert scores(fitted("content-knn"), [0], 5) == pytest.approx([1, 0, 0, -1, -1])


def test_a_modality_that_the_history_lacks_does_not_pull_towards_the_middle() -> None:
    # Item 3 has text alone: item 2 with both modalities scores by its text, as if it had no picture.
    assert scores(fitted("content-knn"), [3], 5) == pytest.approx([-1, -1, 1, 1, 0])


def test_newer_items_weigh_more_where_there_is_an_order() -> None:
    slanted = features("text", [[1, 0], [0, 1], [1, 0.2], [0.2, 1]])
    assert scores(fitted("content-knn", [slanted], 4, recency=0.5), [0, 1], 4)[3] > 0
    assert scores(fitted("content-knn", [slanted], 4, recency=0.5), [1, 0], 4)[3] < 0
    unordered = baselines.create("content-knn", features=[slanted], recency=0.5)
    unordered.fit(dataset_of([[0, 1], [2, 3]], n_items=4, time="none"))
    assert scores(unordered, [0, 1], 4) == scores(unordered, [1, 0], 4)


def test_only_the_newest_of_the_window_count() -> None:
    assert scores(fitted("content-knn-text", window=1), [2, 2, 2, 0], 5)[0] == pytest.approx(1)


def test_without_a_history_content_is_before_no_content() -> None:
    assert scores(fitted("content-knn-text"), [], 5) == [0, 0, 0, 0, LOWEST]
    assert scores(fitted("content-knn-text"), [4], 5) == [0, 0, 0, 0, LOWEST]


def test_dimensions_of_any_scale_count_alike() -> None:
    draw = np.random.default_rng(1)
    plain = draw.random((30, 8))
    stretched = plain * 10.0 ** draw.integers(-3, 4, 8) + draw.random(8)
    one, other = (fitted("content-knn", [features("text", rows.tolist())], 30) for rows in (plain, stretched))
    assert scores(one, [3, 7], 30) == pytest.approx(scores(other, [3, 7], 30), abs=1e-4)


def test_interactions_teach_it_nothing() -> None:
    one = fitted("content-knn")
    other = baselines.create("content-knn", features=[TEXT, IMAGE])
    other.fit(dataset_of([[4, 4, 4, 3], [0]], n_items=5))
    assert scores(one, [0, 2], 5) == scores(other, [0, 2], 5)


def test_an_item_that_nobody_took_can_be_first() -> None:
    assert fitted("content-knn", [features("text", [[1, 0], [0, 1], [1, 0]])], 3).rank(
        [Query(UserHistory(np.array([0], np.int32)), exclude=np.array([0], np.int32))], 1
    ).items.tolist() == [[2]]


def test_names_follow_from_the_features() -> None:
    assert baselines.content_names([TEXT, IMAGE]) == ["content-knn", "content-knn-text", "content-knn-image"]
    assert baselines.content_names([TEXT]) == ["content-knn"]
    assert baselines.content_names([]) == []
    for name in baselines.content_names([TEXT, IMAGE]):
        assert baselines.create(name, features=[TEXT, IMAGE]).name == name


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in ContentKnnSettings.model_fields.values())


def test_missing_and_foreign_features_are_refused() -> None:
    with pytest.raises(ConfigError, match="content-knn needs item features; there is: none"):
        baselines.create("content-knn")
    with pytest.raises(ConfigError, match="content-knn-audio needs audio features; there is: text, image"):
        baselines.create("content-knn-audio", features=[TEXT, IMAGE])
    with pytest.raises(ConfigError, match="recency"):
        baselines.create("content-knn", features=[TEXT], recency=2)
    with pytest.raises(DataError, match="text features of 5 items for a data set of 6"):
        fitted("content-knn", items=6)
