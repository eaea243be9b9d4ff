"""Both indexes: what they find, in which order, under which limits, and after a visit to the disk."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.retrieval.clouds import clustered, plain_best, tastes

from dynmm.errors import ArtefactError, DataError, MissingExtraError, NewerArtefact
from dynmm.retrieval.exact import ExactIndex
from dynmm.retrieval.index import ItemIndex, add_items, build_index, load_index
from dynmm.retrieval.quantised import QuantisedIndex
from dynmm.retrieval.requests import Limits
from dynmm.retrieval.settings import Kind, RetrievalSettings
from dynmm.storage import write_json
from dynmm.system import PADDING, Query
from dynmm.types import UserHistory

ITEMS, WIDTH = 3000, 32
KINDS: tuple[Kind, ...] = ("exact", "pq")


def options(kind: Kind, **more: object) -> RetrievalSettings:
    small = {"bytes_per_item": 8, "shortlist": 300, "training_items": 1024, "measured_queries": 40}
    return RetrievalSettings.model_validate({"index": kind, **small, **more})


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    return clustered(ITEMS, WIDTH)


@pytest.fixture(scope="module")
def folders(vectors: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    root = tmp_path_factory.mktemp("indexes")
    for kind in KINDS:
        build_index(vectors, options(kind), root / kind, seed=0)
    return {kind: root / kind for kind in KINDS}


@pytest.fixture(params=KINDS)
def index(request: pytest.FixtureRequest, folders: dict[Kind, Path]) -> ItemIndex:
    return load_index(folders[request.param])


def known(index: ItemIndex) -> NDArray[np.float32]:
    """The latents as the index scores them."""
    if isinstance(index, QuantisedIndex):
        return index.halves.rows.astype(np.float32)
    assert isinstance(index, ExactIndex)
    return index.vectors


def test_the_size_of_the_catalogue_decides() -> None:
    settings = RetrievalSettings(exact_below=10)
    assert [settings.kind(n) for n in (0, 9, 10)] == ["exact", "exact", "pq"]
    assert RetrievalSettings(index="pq").kind(1) == "pq"
    assert RetrievalSettings(index="exact", exact_below=0).kind(10**6) == "exact"


def test_most_of_the_exact_answer_is_found(index: ItemIndex, vectors: NDArray[np.float32]) -> None:
    users = tastes(vectors, 30)
    truth = ExactIndex(vectors).search(users, 20).items
    found = index.search(users, 20).items
    recall = np.mean([np.isin(row, other).mean() for row, other in zip(truth, found, strict=True)])
    assert recall == 1.0 if index.kind == "exact" else recall > 0.95


def test_what_was_measured_is_kept_with_the_bytes(folders: dict[Kind, Path]) -> None:
    facts = load_index(folders["pq"]).facts
    assert 0.2 < facts["recall_without_reranking"] < facts["recall"] - 0.1
    assert 0.9 < facts["recall"] <= 1.0
    assert facts["bytes_per_item"] == 8
    assert facts["memory_bytes"] == 8 * 3008 + 16 * WIDTH * 4, "codes in blocks of 32, and centroids"
    sizes = {path.name: path.stat().st_size for path in folders["pq"].glob("*.npy")}
    assert facts["file_bytes"] == sizes
    assert sizes["halves.npy"] == 2 * ITEMS * WIDTH + 128


def test_given_queries_are_what_recall_is_measured_on(vectors: NDArray[np.float32], tmp_path: Path) -> None:
    built = build_index(vectors, options("pq", shortlist=ITEMS), tmp_path / "i", 0, queries=tastes(vectors, 7))
    assert built.facts["recall_queries"] == 7
    assert built.facts["recall"] > 0.99, "with everything on the shortlist only rounding is left"


@given(data=st.data())
@settings(max_examples=40)
def test_equals_a_plain_sort_where_all_are_on_the_shortlist(
    data: st.DataObject, folders: dict[Kind, Path], vectors: NDArray[np.float32]
) -> None:
    index = load_index(folders[data.draw(st.sampled_from(KINDS))])
    if isinstance(index, QuantisedIndex):
        index.settings = options("pq", shortlist=ITEMS)
    ids = st.lists(st.integers(0, ITEMS - 1), max_size=30).map(lambda chosen: np.asarray(chosen, np.int32))
    users = tastes(vectors, data.draw(st.integers(1, 4)), seed=data.draw(st.integers(0, 5)))
    limits = Limits(
        exclude=data.draw(st.none() | st.just([data.draw(ids) for _ in users])),
        candidates=data.draw(st.none() | st.just([data.draw(st.none() | ids) for _ in users])),
        hidden=data.draw(st.none() | ids.map(lambda chosen: np.isin(np.arange(ITEMS), chosen))),
    )
    k = data.draw(st.integers(1, 40))
    found = index.search(users, k, limits)
    assert found.items.shape == found.scores.shape == (len(users), k)
    for row, user in enumerate(users):
        scores = (known(index) * user).sum(axis=1)
        expected, best = plain_best(scores, k, limits, row)
        n = len(expected)
        items = found.items[row, :n].astype(np.int64)
        assert len(set(items.tolist())) == n
        assert limits.allowed(row, items).tolist() == items.tolist()
        # By the scores, not the ids: two that differ in the last bit alone may change places in another sum.
        np.testing.assert_allclose(scores[items], best, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.scores[row, :n], best, rtol=1e-5, atol=1e-6)
        assert (found.items[row, n:] == PADDING).all()
        assert np.isneginf(found.scores[row, n:]).all()


def test_scores_are_inner_products_with_the_latents_as_kept(index: ItemIndex, vectors: NDArray[np.float32]) -> None:
    users = tastes(vectors, 5)
    found = index.search(users, 50)
    expected = np.einsum("bkd,bd->bk", known(index)[found.items].astype(np.float64), users.astype(np.float64))
    np.testing.assert_allclose(found.scores, expected, rtol=2e-6, atol=1e-6)
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_a_row_does_not_depend_on_the_batch(index: ItemIndex, vectors: NDArray[np.float32]) -> None:
    users = tastes(vectors, 9)
    together = index.search(users, 25)
    for row in (0, 4, 8):
        alone = index.search(users[row : row + 1], 25)
        assert alone.items[0].tolist() == together.items[row].tolist()
        assert alone.scores[0].tobytes() == together.scores[row].tobytes()
    reverse = index.search(users[::-1], 25)
    assert reverse.scores[::-1].tobytes() == together.scores.tobytes()


def test_excluded_and_hidden_items_make_room_for_others(index: ItemIndex, vectors: NDArray[np.float32]) -> None:
    users = tastes(vectors, 3)
    first = index.search(users, 10)
    excluded = index.search(users, 10, Limits(exclude=list(first.items)))
    hidden = np.zeros(ITEMS, dtype=np.bool_)
    hidden[first.items.ravel()] = True
    for later in (excluded, index.search(users, 10, Limits(hidden=hidden))):
        assert (later.items >= 0).all()
        assert (later.scores.max(axis=1) <= first.scores.min(axis=1)).all()
        for row in range(len(users)):
            assert not np.isin(later.items[row], first.items[row]).any()


def test_the_few_that_are_not_hidden_are_found(index: ItemIndex, vectors: NDArray[np.float32]) -> None:
    users = tastes(vectors, 2)
    last = np.argsort(vectors @ users[0])[:12]
    found = index.search(users[:1], 20, Limits(hidden=~np.isin(np.arange(ITEMS), last)))
    assert sorted(found.items[0, :12].tolist()) == sorted(last.tolist())
    assert (found.items[0, 12:] == PADDING).all()


@pytest.mark.parametrize("kind", KINDS)
def test_equal_items_are_ordered_by_id(kind: Kind, tmp_path: Path) -> None:
    one = clustered(4, WIDTH)
    index = build_index(np.tile(one, (25, 1)), options(kind), tmp_path / "i", 0)
    found = index.search(one[2:3], 30)
    assert found.items[0, :25].tolist() == list(range(2, 100, 4))
    assert len(set(found.scores[0, :25].tolist())) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 2, 17, 33])
def test_small_catalogues(kind: Kind, n: int, tmp_path: Path) -> None:
    vectors = clustered(40, 5)[:n]
    index = build_index(vectors, options(kind, bytes_per_item=2), tmp_path / "i", 0)
    users = clustered(3, 5, seed=9)
    found = index.search(users, 40)
    for row, user in enumerate(users):
        assert found.items[row, :n].tolist() == np.argsort(-(known(index) * user).sum(axis=1), kind="stable").tolist()
    assert (found.items[:, n:] == PADDING).all()
    assert index.search(users[:0], 4).items.shape == (0, 4)


def test_limits_are_read_from_queries(index: ItemIndex, vectors: NDArray[np.float32]) -> None:
    users = tastes(vectors, 2)
    first = index.search(users, 4).items
    queries = [
        Query(UserHistory(), exclude=first[0, :2]),
        Query(UserHistory(), candidates=first[1, [3, 1, 0]], exclude=first[1, :1]),
    ]
    found = index.search(users, 2, Limits.of(queries))
    assert found.items.tolist() == [first[0, 2:4].tolist(), first[1, [1, 3]].tolist()]


def test_a_user_of_zeros_gets_items_by_id(index: ItemIndex) -> None:
    found = index.search(np.zeros((1, WIDTH), np.float32), 6)
    assert found.items[0].tolist() == list(range(6))
    assert found.scores[0].tolist() == [0.0] * 6


def test_users_that_are_not_finite_are_refused(index: ItemIndex) -> None:
    with pytest.raises(FloatingPointError, match="not finite"):
        index.search(np.full((1, WIDTH), np.nan, np.float32), 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_latents_that_are_not_finite_are_refused(bad: float, tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    wrong = vectors.copy()
    wrong[1234, 3] = bad
    with pytest.raises(DataError, match="item 1234"):
        build_index(wrong, options("pq"), tmp_path / "i", 0)
    assert not (tmp_path / "i").exists()


def test_the_same_seed_gives_the_same_bytes(
    folders: dict[Kind, Path], vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    build_index(vectors, options("pq"), tmp_path / "same", 0)
    build_index(vectors, options("pq"), tmp_path / "other", 1)
    for name in ("centroids.npy", "codes.npy", "halves.npy"):
        kept = (folders["pq"] / name).read_bytes()
        assert (tmp_path / "same" / name).read_bytes() == kept
    assert (tmp_path / "other" / "codes.npy").read_bytes() != (folders["pq"] / "codes.npy").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_items_can_be_added(kind: Kind, folders: dict[Kind, Path], tmp_path: Path) -> None:
    before = load_index(folders[kind])
    more = clustered(70, WIDTH, seed=5)
    after = add_items(folders[kind], more, tmp_path / "more")
    assert (after.n_items, load_index(folders[kind]).n_items) == (ITEMS + 70, ITEMS)
    assert after.search(more, 1).items[:, 0].tolist() == list(range(ITEMS, ITEMS + 70))
    only_old = Limits(hidden=np.arange(ITEMS + 70) >= ITEMS)
    users = tastes(more, 4)
    assert after.search(users, 5, only_old).items.tolist() == before.search(users, 5).items.tolist()
    twice = add_items(tmp_path / "more", more[:0])
    assert twice.n_items == ITEMS + 70
    if kind == "pq":
        assert (twice.facts["added"], twice.facts["recall"]) == (70, before.facts["recall"])


def test_an_added_item_gets_the_code_that_building_would_give(vectors: NDArray[np.float32], tmp_path: Path) -> None:
    settings = options("pq", training_items=16)  # the few that are learned from are the same in both
    build_index(vectors[:16], settings, tmp_path / "part", 0)
    add_items(tmp_path / "part", vectors[:200], tmp_path / "grown")
    grown = load_index(tmp_path / "grown")
    assert isinstance(grown, QuantisedIndex)
    rows = np.concatenate([vectors[:16], vectors[:200]]).astype(np.float16).astype(np.float32)
    kept = np.load(tmp_path / "grown" / "codes.npy", allow_pickle=False)
    assert kept.tolist() == grown.scan.codebook.encode(rows).tolist()


def test_new_items_of_another_width_are_refused(folders: dict[Kind, Path]) -> None:
    with pytest.raises(DataError, match=f"width 3, those in .* have {WIDTH}"):
        add_items(folders["pq"], np.zeros((1, 3), np.float32))


@pytest.mark.parametrize("name", ["centroids.npy", "codes.npy", "halves.npy", "vectors.npy", "index.json"])
@pytest.mark.parametrize("damage", ["cut", "longer", "gone", "garbage", "empty"])
def test_damaged_files_are_named(name: str, damage: str, tmp_path: Path) -> None:
    kind: Kind = "exact" if name == "vectors.npy" else "pq"
    build_index(clustered(50, 6), options(kind), tmp_path / "i", 0)
    path = tmp_path / "i" / name
    whole = path.read_bytes()
    damaged = {"cut": whole[:-9], "longer": whole + b"x", "garbage": b"\x93NUMPY" + b"\xff" * 400, "empty": b""}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(damaged[damage])
    with pytest.raises(ArtefactError, match=name):
        load_index(tmp_path / "i")


def test_files_of_another_index_are_refused(tmp_path: Path) -> None:
    build_index(clustered(50, 6), options("pq"), tmp_path / "one", 0)
    build_index(clustered(51, 6), options("pq"), tmp_path / "other", 0)
    (tmp_path / "one" / "halves.npy").write_bytes((tmp_path / "other" / "halves.npy").read_bytes())
    with pytest.raises(ArtefactError, match=r"halves.npy .*should hold float16 \(50, 6\) and holds float16 \(51, 6\)"):
        load_index(tmp_path / "one")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "index.json", {"format": 99})
    with pytest.raises(NewerArtefact, match="format 99"):
        load_index(tmp_path)


def test_without_faiss_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'dynmm\[index\]'"):
        build_index(clustered(50, 6), options("pq"), tmp_path / "i", 0)
    assert build_index(clustered(50, 6), options("exact"), tmp_path / "i", 0).kind == "exact"
