"""The public names. A change here is a change of the project's promise, and belongs in the changelog."""

from __future__ import annotations

import importlib.metadata
import inspect

import pytest

import dynmm
from dynmm import errors

NAMES = {
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
}
ERRORS = {
    "ArtefactError",
    "ConfigError",
    "DataError",
    "DynmmError",
    "EmptyDataError",
    "MissingExtraError",
    "ModelError",
    "NewerArtefact",
    "ProtocolMismatch",
    "RationaleUnreadable",
    "StorageError",
    "TamperedArtefact",
    "TrainingDiverged",
    "UnknownIdError",
    "UnsupportedByData",
}
#: Parameters that callers rely on, by name and order. `self` and `cls` are left out.
SIGNATURES = {
    "Recommender.fit": ["data", "config", "split", "seed"],
    "Recommender.from_pretrained": ["source"],
    "Recommender.save_pretrained": ["folder", "overwrite"],
    "Recommender.recommend": ["user", "k"],
    "Recommender.recommend_many": ["users", "k"],
    "Recommender.rank": ["user", "items"],
    "Recommender.learn": ["events"],
    "Recommender.explain": ["user", "item"],
    "Recommender.verify": ["rationale"],
    "Dataset.from_frames": ["interactions", "items", "media"],
    "Dataset.load": ["folder"],
    "System.fit": ["dataset"],
    "System.rank": ["queries", "k"],
    "System.learn": ["events"],
}


def test_the_public_names_are_these() -> None:
    assert set(dynmm.__all__) == NAMES
    assert set(dir(dynmm)) >= NAMES


def test_every_public_name_is_there() -> None:
    assert [name for name in sorted(NAMES) if getattr(dynmm, name, None) is None] == []


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match="Recomender"):
        _ = dynmm.Recomender


def test_the_errors_are_these_and_share_one_base() -> None:
    found = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert found == ERRORS
    assert [name for name in ERRORS if not issubclass(getattr(errors, name), errors.DynmmError)] == []


@pytest.mark.parametrize("path", SIGNATURES)
def test_the_first_parameters_keep_their_names_and_order(path: str) -> None:
    owner, method = path.split(".")
    parameters = inspect.signature(getattr(getattr(dynmm, owner), method)).parameters
    names = [name for name in parameters if name not in ("self", "cls")]
    assert names[: len(SIGNATURES[path])] == SIGNATURES[path]


def test_the_version_is_the_installed_one() -> None:
    assert dynmm.__version__ == importlib.metadata.version("dynmm")
