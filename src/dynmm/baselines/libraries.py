"""The door to `implicit`, an optional library: imported late, run on one thread, from a fixed seed."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from dynmm.errors import MissingExtraError
from dynmm.interactions.dataset import Dataset
from dynmm.system import Query


def implicit_module(path: str, system: str) -> Any:
    """A module of `implicit`. Raises MissingExtraError, which names the pip command."""
    try:
        return importlib.import_module(path)
    except ImportError as error:
        raise MissingExtraError(f"{system!r} needs the library 'implicit': pip install 'dynmm[eval]'") from error


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread meanwhile: `implicit` is up to ten times slower otherwise, and says so."""
    threadpoolctl = importlib.import_module("threadpoolctl")
    with threadpoolctl.threadpool_limits(1, "blas"):
        yield


def taken_by_user(dataset: Dataset) -> sp.csr_matrix:
    """(U, I) float32, 1 where a user has taken an item."""
    return _ones(dataset.events.users, dataset.events.items, (dataset.n_users, dataset.n_items))


def taken_by_query(queries: Sequence[Query], n_items: int) -> sp.csr_matrix:
    """(B, I) float32, 1 where an item stands in a query's history."""
    rows = np.repeat(np.arange(len(queries)), [len(query.history) for query in queries])
    columns = np.concatenate([np.empty(0, np.int64), *(query.history.items for query in queries)])
    return _ones(rows, columns, (len(queries), n_items))


def _ones(rows: Any, columns: Any, shape: tuple[int, int]) -> sp.csr_matrix:
    matrix = sp.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    matrix.data[:] = 1.0  # an item taken twice was summed to 2
    return matrix
