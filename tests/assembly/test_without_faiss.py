"""A fit whose index this installation cannot build."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.worlds import QUICK, circle_data

from dynmm import Recommender
from dynmm.assembly import FitOptions
from dynmm.errors import MissingExtraError


@pytest.mark.parametrize("retrieval", [{"index": "pq"}, {"exact_below": 20}])
def test_it_is_refused_before_anything_is_encoded_or_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retrieval: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    begun: list[str] = []
    options = FitOptions(cache=tmp_path, on_stage=begun.append)
    with pytest.raises(MissingExtraError, match=r"pip install 'dynmm\[index\]', or set retrieval\.index = exact"):
        Recommender.fit(circle_data(), {**QUICK, "retrieval": retrieval}, options=options)
    assert not begun
