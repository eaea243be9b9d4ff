"""Product quantisation: an item as a few bytes, read very fast.

Jégou, Douze, Schmid, "Product quantization for nearest neighbor search" (2011): a latent is cut into pieces,
each piece is replaced by the nearest of a few centroids, and a code says which. With 16 centroids a piece the
sums for 32 items are looked up in registers at a time (André, Kermarrec, Le Scouarnec, "Cache locality is not
enough", 2015), which faiss calls fast scan.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import MissingExtraError

#: Of each piece; a code has 4 bits for it.
CENTROIDS = 16
_ROUNDS = 25


def faiss_module() -> Any:
    """faiss, imported late. Raises MissingExtraError, which names the pip command."""
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise MissingExtraError(
            "a product-quantised index needs the library 'faiss': pip install 'dynmm[index]', or set "
            "retrieval.index = exact"
        ) from error


@contextlib.contextmanager
def one_thread(faiss: Any) -> Iterator[None]:
    """Keep faiss to one thread meanwhile.

    Learning codes is thousands of tiny parallel loops; where other work shares the cores, the threads wait for
    one another longer than they compute. It also makes the codes independent of the number of cores.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@dataclass(frozen=True, eq=False)
class Codebook:
    """What the codes mean. centroids: (P, 16, S) float32, P even, for P pieces of S numbers; P * S >= D."""

    centroids: NDArray[np.float32]

    @property
    def pieces(self) -> int:
        return len(self.centroids)

    @property
    def code_bytes(self) -> int:
        """Bytes of an item's code."""
        return self.pieces // 2

    @property
    def padded_width(self) -> int:
        """P * S."""
        return self.pieces * int(self.centroids.shape[2])

    def quantiser(self) -> Any:
        """The same as faiss's own object."""
        faiss = faiss_module()
        quantiser = faiss.ProductQuantizer(self.padded_width, self.pieces, 4)
        faiss.copy_array_to_vector(self.centroids.ravel(), quantiser.centroids)
        return quantiser

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(N, D) -> (N, `code_bytes`)."""
        with one_thread(faiss_module()):
            codes: NDArray[np.uint8] = self.quantiser().compute_codes(padded(vectors, self.padded_width))
        return codes

    def padded(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) -> (N, P * S), zeros behind."""
        return padded(vectors, self.padded_width)


def codebook_shape(width: int, bytes_per_item: int) -> tuple[int, int, int]:
    """(P, 16, S): the most pieces that a code of so many bytes can tell apart, none of them all padding."""
    size = -(-width // (2 * bytes_per_item))
    pieces = -(-width // size)
    return pieces + pieces % 2, CENTROIDS, size


def learn_codebook(sample: NDArray[np.float32], bytes_per_item: int, seed: int) -> Codebook:
    """k-means in every piece. sample: (N, D), of which all is used. The same seed gives the same bits."""
    faiss = faiss_module()
    shape = codebook_shape(sample.shape[1], bytes_per_item)
    pieces, _, size = shape
    quantiser = faiss.ProductQuantizer(pieces * size, pieces, 4)
    # faiss would tell of few points on the standard error stream; few items are a normal catalogue here.
    quantiser.cp.min_points_per_centroid = 1
    quantiser.cp.max_points_per_centroid = max(256, -(-len(sample) // CENTROIDS))
    quantiser.cp.niter = _ROUNDS
    quantiser.cp.seed = seed % 2**31
    rows = padded(sample, pieces * size)
    if len(rows) < CENTROIDS:
        rows = np.resize(rows, (CENTROIDS, pieces * size)) if len(rows) else np.zeros((CENTROIDS, pieces * size), "f4")
    with one_thread(faiss):
        quantiser.train(np.ascontiguousarray(rows, dtype=np.float32))
    return Codebook(faiss.vector_to_array(quantiser.centroids).reshape(shape).copy())


def padded(vectors: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """(N, D) -> (N, width), zeros behind; contiguous float32."""
    missing = width - vectors.shape[1]
    wide = np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors
    return np.ascontiguousarray(wide, dtype=np.float32)


class CodeScan:
    """The codes of all items in the order in which they are scanned; the only copy in memory."""

    def __init__(self, codebook: Codebook, codes: NDArray[np.uint8]) -> None:
        """codes: (I, `code_bytes`)."""
        self.codebook, self.n_items = codebook, len(codes)
        self._index = _scanned(codebook, codes) if len(codes) else None

    @property
    def memory_bytes(self) -> int:
        """Codes, rounded up to blocks of 32 items, and centroids."""
        blocks = -(-self.n_items // 32) * 32
        return blocks * self.codebook.code_bytes + int(self.codebook.centroids.nbytes)

    def nearest(self, user: NDArray[np.float32], n: int) -> NDArray[np.int64]:
        """The n items of the largest approximate inner product with a user, best first. (D,) -> (min(n, I),).

        One user at a time: it is as fast as many, and what a user gets cannot depend on the others.
        """
        n = min(n, self.n_items)
        if n == 0 or self._index is None:
            return np.empty(0, np.int64)
        items: NDArray[np.int64] = self._index.search(self.codebook.padded(user[None]), n)[1][0]
        found = items[items >= 0]
        if len(found) < n:
            # Where all approximate scores are equal (a user of zeros) faiss finds none: then in order of the ids.
            rest = np.setdiff1d(np.arange(min(self.n_items, n + len(found))), found)
            found = np.concatenate([found, rest[: n - len(found)]])
        return found


def _scanned(codebook: Codebook, codes: NDArray[np.uint8]) -> Any:
    faiss = faiss_module()
    plain = faiss.IndexPQ(codebook.padded_width, codebook.pieces, 4, faiss.METRIC_INNER_PRODUCT)
    plain.pq = codebook.quantiser()
    plain.is_trained = True
    plain.add_sa_codes(np.ascontiguousarray(codes))
    with one_thread(faiss):
        packed = faiss.IndexPQFastScan(plain)
    packed.orig_codes = None  # it would point into `plain`, which ends here; only a search for debugging reads it
    return packed
