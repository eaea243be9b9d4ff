"""What holds for every test: one compute thread for each worker, a cache of its own, fixed examples in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Before anything imports torch or NumPy. Workers run side by side, so more threads would only compete.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty stage cache, so that a test that fits does fit, and nothing is left in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNMM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
