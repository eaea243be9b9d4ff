"""The index over the item latents: built once, kept in a folder, chosen by the size of the catalogue.

B users, I items, D width.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from dynmm.errors import ArtefactError, DataError, NewerArtefact
from dynmm.randomness import derive_seed, generator
from dynmm.retrieval.codes import faiss_module, learn_codebook
from dynmm.retrieval.exact import ExactIndex, exact_facts, exact_pieces, read_exact, write_exact
from dynmm.retrieval.halves import LARGEST
from dynmm.retrieval.measuring import recall_facts, sample_queries
from dynmm.retrieval.quantised import QuantisedIndex, read_quantised, write_extended, write_quantised
from dynmm.retrieval.requests import EVERYTHING, Limits
from dynmm.retrieval.rowfiles import CHUNK_ROWS, chunks
from dynmm.retrieval.settings import Kind, RetrievalSettings
from dynmm.storage import named_disk_errors, new_folder, write_json
from dynmm.system import Rankings

INDEX_FILE = "index.json"
FORMAT = 1


@runtime_checkable
class ItemIndex(Protocol):
    """Finds the items of the largest inner product with a user."""

    @property
    def kind(self) -> Kind:
        """``exact`` or ``pq``."""
        ...

    @property
    def n_items(self) -> int:
        """I."""
        ...

    @property
    def width(self) -> int:
        """D."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What a manifest tells of it: bytes, and for pq the recall that was measured."""
        ...

    def search(self, users: NDArray[np.float32], k: int, limits: Limits = EVERYTHING) -> Rankings:
        """The best k items of each user, ordered and padded as `Rankings` says. users: (B, D) float32.

        A row is the same to the bit whichever other users come with it. Raises FloatingPointError where a
        user is not finite.
        """
        ...


def build_index(
    vectors: NDArray[np.float32],
    settings: RetrievalSettings,
    folder: Path,
    seed: int,
    *,
    queries: NDArray[np.float32] | None = None,
) -> ItemIndex:
    """Build an index over (I, D) float32 latents into a folder, which it replaces whole, and open it.

    queries: (Q, D) user vectors on which a pq index is measured, of which the first `measured_queries` count;
    None makes some up. Raises DataError for latents that are not finite, MissingExtraError where pq needs
    faiss, StorageError.
    """
    _check(vectors)
    if settings.kind(len(vectors)) == "exact":
        return _build_exact(vectors, settings, folder)
    faiss_module()
    began = time.perf_counter()
    codebook = learn_codebook(
        _sample(vectors, settings.training_items, seed),
        settings.bytes_per_item,
        derive_seed(seed, "index", "codebook"),
    )
    learned = time.perf_counter()
    with new_folder(folder) as beside:
        write_quantised(beside, codebook, _shape(vectors), chunks(vectors))
        index = read_quantised(beside, _shape(vectors), settings, {})
        encoded = time.perf_counter()
        if queries is None:
            queries = sample_queries(vectors, settings.measured_queries, seed)
        facts = _bytes_facts(index, beside) | recall_facts(index, vectors, queries[: settings.measured_queries])
        seconds = {"learn": learned - began, "encode": encoded - learned, "measure": time.perf_counter() - encoded}
        facts["build_seconds"] = {name: round(value, 3) for name, value in seconds.items()}
        _write_card(beside, index, settings, facts)
    return load_index(folder)


def load_index(folder: Path) -> ItemIndex:
    """The index that lies in a folder.

    Raises ArtefactError, which names the file, where one is missing, cut short or holds something else, and
    NewerArtefact. That not a bit has changed is for the checksums of the run to prove.
    """
    kind, shape, settings, facts = _read_card(folder / INDEX_FILE)
    if kind == "exact":
        return read_exact(folder, shape, facts)
    return read_quantised(folder, shape, settings, facts)


def add_items(folder: Path, vectors: NDArray[np.float32], target: Path | None = None) -> ItemIndex:
    """The index of a folder with (N, D) more items behind the others, written whole to `target` and opened.

    target: None replaces the folder. A pq index keeps its codebook; the recall in its facts stays what was
    measured when it was built, and `added` counts the items since. Raises ArtefactError, DataError, StorageError.
    """
    index = load_index(folder)
    _check(vectors)
    if vectors.shape[1] != index.width:
        raise DataError(f"new items have latents of width {vectors.shape[1]}, those in {folder} have {index.width}")
    _, shape, settings, _ = _read_card(folder / INDEX_FILE)
    shape = (shape[0] + len(vectors), shape[1])
    with new_folder(target or folder) as beside:
        if isinstance(index, ExactIndex):
            write_exact(beside, shape, exact_pieces(index, vectors))
            larger: ItemIndex = read_exact(beside, shape, {})
            facts = larger.facts
        else:
            assert isinstance(index, QuantisedIndex)
            write_extended(beside, index, folder, vectors)
            larger = read_quantised(beside, shape, settings, {})
            added = int(index.facts.get("added", 0)) + len(vectors)
            facts = index.facts | _bytes_facts(larger, beside) | {"added": added}
        _write_card(beside, larger, settings, facts)
    return load_index(target or folder)


def _build_exact(vectors: NDArray[np.float32], settings: RetrievalSettings, folder: Path) -> ItemIndex:
    with new_folder(folder) as beside:
        write_exact(beside, _shape(vectors), chunks(vectors))
        _write_card(beside, ExactIndex(vectors), settings, exact_facts(vectors))
    return load_index(folder)


def _check(vectors: NDArray[np.float32]) -> None:
    assert vectors.ndim == 2, "latents come as rows"
    assert vectors.dtype == np.float32, "latents are float32"
    for number, piece in enumerate(chunks(vectors)):
        wrong = ~(np.abs(piece) <= LARGEST).all(axis=1)
        if wrong.any():
            row = number * CHUNK_ROWS + int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"the latent of item {row} (dense id) has a number that is not finite or beyond {LARGEST:g}; "
                "look at the features of that item, or fit the joint stage with a smaller learning rate"
            )


def _sample(vectors: NDArray[np.float32], n: int, seed: int) -> NDArray[np.float32]:
    if len(vectors) <= n:
        return vectors
    chosen = generator(seed, "index", "sample").choice(len(vectors), n, replace=False)
    return vectors[np.sort(chosen)]


def _shape(vectors: NDArray[np.float32]) -> tuple[int, int]:
    return len(vectors), int(vectors.shape[1])


def _bytes_facts(index: QuantisedIndex, folder: Path) -> dict[str, Any]:
    with named_disk_errors(folder):
        files = {path.name: path.stat().st_size for path in sorted(folder.glob("*.npy"))}
    return {
        "kind": "pq",
        "items": index.n_items,
        "width": index.width,
        "bytes_per_item": index.scan.codebook.code_bytes,
        "memory_bytes": index.scan.memory_bytes,
        "file_bytes": files,
        "shortlist": index.settings.shortlist,
    }


def _write_card(folder: Path, index: ItemIndex, settings: RetrievalSettings, facts: dict[str, Any]) -> None:
    card = {"format": FORMAT, "kind": index.kind, "items": index.n_items, "width": index.width}
    write_json(folder / INDEX_FILE, card | {"settings": settings.model_dump(mode="json"), "facts": facts})


def _read_card(path: Path) -> tuple[Kind, tuple[int, int], RetrievalSettings, dict[str, Any]]:
    try:
        card = json.loads(path.read_bytes())
        if int(card["format"]) > FORMAT:
            raise NewerArtefact(f"{path} has format {card['format']}; this version reads up to {FORMAT}: upgrade dynmm")
        kind, shape = card["kind"], (int(card["items"]), int(card["width"]))
        if kind not in ("exact", "pq") or min(shape) < 0:
            raise ValueError(f"an index of kind {kind!r} over {shape}")
        return kind, shape, RetrievalSettings.model_validate(card["settings"]), dict(card["facts"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise ArtefactError(
            f"{path} is not the description of an index ({error}); restore the run from a copy, or build the index anew"
        ) from error
