"""dynmm: a recommender that keeps learning, sees and hears its items, and shows its evidence.

The public names stand here and load on first use, so that importing dynmm costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynmm import errors as errors
    from dynmm.config import Config
    from dynmm.interactions.dataset import Dataset, DatasetInfo
    from dynmm.recommendations import Recommendations
    from dynmm.recommender import Recommender
    from dynmm.system import Query, Rankings, System
    from dynmm.types import Claim, Events, Evidence, Explanation, Rationale, Recommendation, SimilarItem, UserHistory

_HOMES = {
    "Claim": "dynmm.types",
    "Config": "dynmm.config",
    "Dataset": "dynmm.interactions.dataset",
    "DatasetInfo": "dynmm.interactions.dataset",
    "Events": "dynmm.types",
    "Evidence": "dynmm.types",
    "Explanation": "dynmm.types",
    "Query": "dynmm.system",
    "Rankings": "dynmm.system",
    "Rationale": "dynmm.types",
    "Recommendation": "dynmm.types",
    "Recommendations": "dynmm.recommendations",
    "Recommender": "dynmm.recommender",
    "SimilarItem": "dynmm.types",
    "System": "dynmm.system",
    "UserHistory": "dynmm.types",
}

__all__ = [
    "Claim",
    "Config",
    "Dataset",
    "DatasetInfo",
    "Events",
    "Evidence",
    "Explanation",
    "Query",
    "Rankings",
    "Rationale",
    "Recommendation",
    "Recommendations",
    "Recommender",
    "SimilarItem",
    "System",
    "UserHistory",
    "__version__",
    "errors",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("dynmm")
    if name == "errors":
        return importlib.import_module("dynmm.errors")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dynmm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
