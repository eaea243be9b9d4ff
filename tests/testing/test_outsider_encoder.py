"""A guest's encoder passes the contract suite and runs from its name; each breach is caught by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import Content
from dynmm.encoders.encoder import Encoded, Encoder
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.testing import ENCODER_CHECKS, ContractBroken, check_encoder

_FILE = Path(__file__).with_name("outsider_encoder.py")


def _load() -> Any:
    """The file's module, imported by its path as a guest's would be."""
    spec = importlib.util.spec_from_file_location("outsider_encoder", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Letters: Any = _load().Letters


@pytest.mark.parametrize("check", ENCODER_CHECKS, ids=lambda check: str(check.__name__))
def test_a_guest_passes(check: Callable[[Callable[[], Encoder]], None]) -> None:
    check(Letters)


def test_a_guest_runs_from_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(_FILE.parent))
    catalogue = Catalogue.from_frames(pl.DataFrame({"item_id": ["a", "b", "c"], "title": ["Aa", None, "BBB"]}))
    [features] = encode_catalogue(catalogue, EncoderSettings(text="outsider_encoder:Letters"), cache=tmp_path)
    assert features.encoder == "outsider_encoder:Letters"
    assert features.identity == "outsider-letters-1"
    assert features.present.tolist() == [True, False, True]
    assert features.vectors[:, :2].tolist() == [[1, 0], [0, 0], [0, 1]]
    assert features.attributes is not None
    assert features.attributes.names == ("loud",)
    assert features.attributes.values[[0, 2], 0].tolist() == [0.5, 1.0]
    assert np.isnan(features.attributes.values[1, 0])


class Nowhere(Letters):  # type: ignore[misc]
    modality = "smell"


class TooNarrow(Letters):  # type: ignore[misc]
    width = 26


class NotANumber(Letters):  # type: ignore[misc]
    def encode(self, contents: Sequence[Content]) -> Encoded:
        encoded = super().encode(contents)
        return Encoded(encoded.vectors * np.float32(np.nan), encoded.attributes)


class MoreThanAll(Letters):  # type: ignore[misc]
    def encode(self, contents: Sequence[Content]) -> Encoded:
        encoded = super().encode(contents)
        return Encoded(encoded.vectors, encoded.attributes + 1)


class KeepsItsWords(Letters):  # type: ignore[misc]
    def encode(self, contents: Sequence[Content]) -> Encoded:
        return Encoded(super().encode(contents).vectors)


class LooksAround(Letters):  # type: ignore[misc]
    def encode(self, contents: Sequence[Content]) -> Encoded:
        encoded = super().encode(contents)
        return Encoded(encoded.vectors / encoded.vectors.max(axis=0).clip(0.1), encoded.attributes)


class GoesByPlace(Letters):  # type: ignore[misc]
    def encode(self, contents: Sequence[Content]) -> Encoded:
        encoded = super().encode(contents)
        return Encoded(encoded.vectors, np.linspace(0, 1, len(contents), dtype=np.float32)[:, None])


class SeesNothing(Letters):  # type: ignore[misc]
    def encode(self, contents: Sequence[Content]) -> Encoded:
        encoded = super().encode(contents)
        return Encoded(np.ones_like(encoded.vectors), encoded.attributes)


class NamedByItsAddress(Letters):  # type: ignore[misc]
    @property
    def identity(self) -> str:
        return str(id(self))


class MadeByChance(Letters):  # type: ignore[misc]
    def __init__(self) -> None:
        self._scale = 1 + np.random.default_rng().random(27, np.float32)

    def encode(self, contents: Sequence[Content]) -> Encoded:
        encoded = super().encode(contents)
        return Encoded(encoded.vectors * self._scale, encoded.attributes)


class _WithWeights(Letters):  # type: ignore[misc]
    def __init__(self) -> None:
        self._model = torch.nn.Linear(27, 27, bias=False).eval().requires_grad_(False)
        torch.nn.init.eye_(self._model.weight)


class NotFrozen(_WithWeights):
    def __init__(self) -> None:
        super().__init__()
        self._model.requires_grad_(True)


class LearnsAsItReads(_WithWeights):
    def encode(self, contents: Sequence[Content]) -> Encoded:
        encoded: Encoded = super().encode(contents)
        self._model.weight += 1e-6
        return encoded


class DrawsFromTheGlobalGenerator(Letters):  # type: ignore[misc]
    def encode(self, contents: Sequence[Content]) -> Encoded:
        torch.rand(())
        encoded: Encoded = super().encode(contents)
        return encoded


BROKEN: dict[type[Any], str] = {
    Nowhere: "modality is one of",
    TooNarrow: "as wide as",
    NotANumber: "finite float32",
    MoreThanAll: r"lie in \[0, 1\]",
    KeepsItsWords: "a column for each name",
    LooksAround: "row depends on its own content alone",
    GoesByPlace: "attributes depend on their own content",
    SeesNothing: "different contents",
    NamedByItsAddress: "made alike have the same identity",
    MadeByChance: "equal identities give equal vectors",
    NotFrozen: "parameters are frozen",
    LearnsAsItReads: "changes neither parameters",
    DrawsFromTheGlobalGenerator: "global generator",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: str(broken.__name__))
def test_what_breaks_the_contract_is_caught_by_name(broken: type[Any]) -> None:
    with pytest.raises(ContractBroken, match=BROKEN[broken]):
        check_encoder(broken)
