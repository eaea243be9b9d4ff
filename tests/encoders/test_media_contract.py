"""The contract on the shapes of pretrained models that the walk over the table does not take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.encoders.tiny_models import save_clip, save_wav2vec2

from dynmm.encoders.clip import Clip
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.wav2vec2 import Wav2Vec2
from dynmm.testing import ENCODER_CHECKS

pytestmark = pytest.mark.slow

_SHAPES: dict[str, Callable[[Path], Callable[[], Encoder]]] = {
    "the image side of CLIP": lambda folder: _clip(save_clip(folder, image_side_alone=True)),
    "Wav2Vec2 with layer norm": lambda folder: _wav2vec2(save_wav2vec2(folder, norm="layer")),
    "Wav2Vec2 with a head": lambda folder: _wav2vec2(save_wav2vec2(folder, head=True)),
}


def _clip(folder: Path) -> Callable[[], Encoder]:
    return lambda: Clip(folder)


def _wav2vec2(folder: Path) -> Callable[[], Encoder]:
    return lambda: Wav2Vec2(folder)


@pytest.fixture(scope="module", params=list(_SHAPES))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Encoder]:
    pytest.importorskip("transformers")
    return _SHAPES[str(request.param)](tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("check", ENCODER_CHECKS, ids=lambda check: str(check.__name__))
def test_it_keeps_the_contract(made: Callable[[], Encoder], check: Callable[[Callable[[], Encoder]], None]) -> None:
    check(made)
