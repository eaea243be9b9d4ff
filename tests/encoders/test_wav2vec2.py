from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.encoders.made import hiss, sound, tone
from tests.encoders.tiny_models import WAV2VEC2_WIDTH, change_json, save_clip, save_wav2vec2

from dynmm.catalogue.content import Sound
from dynmm.encoders import wav2vec2
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.wav2vec2 import Wav2Vec2
from dynmm.errors import ConfigError
from dynmm.testing.state import state_hash

pytest.importorskip("transformers")
#: The library alone takes seconds to import.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["group", "layer"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_wav2vec2(tmp_path_factory.mktemp("wav2vec2"), norm=request.param)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Wav2Vec2:
    return Wav2Vec2(folder, precision="float32")


def _sounds() -> list[Sound]:
    """Of several lengths, out of order, two of them alike."""
    return [hiss(0.1, length, seed) for seed, length in enumerate([0.5, 0.2, 0.4, 0.5, 0.0251])]


def test_it_is_an_encoder_with_the_promised_shapes(encoder: Wav2Vec2) -> None:
    assert isinstance(encoder, Encoder)
    encoded = encoder.encode(_sounds())
    assert encoded.vectors.shape == (5, WAV2VEC2_WIDTH) == (5, encoder.width)
    assert encoded.vectors.dtype == np.float32
    assert encoded.attributes is None
    assert np.isfinite(encoded.vectors).all()


def test_neither_padding_nor_neighbours_change_a_row(encoder: Wav2Vec2) -> None:
    together = encoder.encode(_sounds()).vectors
    alone = np.concatenate([encoder.encode([one]).vectors for one in _sounds()])
    assert np.allclose(together, alone, atol=2e-5)
    assert not np.allclose(together[0], together[3], atol=1e-3)


def test_the_mean_of_what_the_library_gives(encoder: Wav2Vec2, folder: Path) -> None:
    from transformers import Wav2Vec2Model

    heard = hiss(0.1, 0.3)
    normal = (heard.samples - heard.samples.mean()) / np.sqrt(heard.samples.var() + 1e-7)
    with torch.inference_mode():
        hidden = Wav2Vec2Model.from_pretrained(folder)(torch.from_numpy(normal)[None]).last_hidden_state
    assert hidden.shape[1] > 10
    assert np.allclose(encoder.encode([heard]).vectors, hidden.mean(dim=1).numpy(), atol=2e-5)


def test_level_and_offset_are_normalised_where_the_folder_says_so(encoder: Wav2Vec2, tmp_path: Path) -> None:
    soft = hiss(0.05)
    loud = sound(4 * soft.samples + 0.3)
    assert np.allclose(encoder.encode([soft]).vectors, encoder.encode([loud]).vectors, atol=1e-3)
    raw = Wav2Vec2(save_wav2vec2(tmp_path, norm="layer", normalise=False), precision="float32")
    assert not np.allclose(raw.encode([soft]).vectors, raw.encode([loud]).vectors, atol=1e-3)


def test_short_sounds_are_followed_by_silence(encoder: Wav2Vec2) -> None:
    assert encoder.shortest == 400
    short = tone(900, length=0.02)
    assert len(short.samples) < 400
    padded = sound(np.pad(short.samples, (0, 400 - len(short.samples))))
    assert np.allclose(encoder.encode([short]).vectors, encoder.encode([padded]).vectors, atol=1e-6)
    assert np.isfinite(encoder.encode([sound(np.zeros(0)), sound(np.zeros(900))]).vectors).all()


def test_few_samples_go_together(encoder: Wav2Vec2, monkeypatch: pytest.MonkeyPatch) -> None:
    together = encoder.encode(_sounds()).vectors
    monkeypatch.setattr(wav2vec2, "TOGETHER", 4000)
    groups = list(encoder._groups(_sounds()))
    assert len(groups) == 5
    assert np.allclose(together, encoder.encode(_sounds()).vectors, atol=2e-5)


def test_encoding_changes_no_weight_and_needs_no_gradient(encoder: Wav2Vec2) -> None:
    parameters = list(encoder._model.parameters())
    before = state_hash(parameters)
    encoder.encode(_sounds())
    assert state_hash(parameters) == before
    assert not any(parameter.requires_grad for parameter in parameters)


def test_a_model_with_a_head_is_the_same_model(tmp_path: Path) -> None:
    with_head = Wav2Vec2(save_wav2vec2(tmp_path, head=True), precision="float32")
    assert with_head.encode(_sounds()).vectors.shape == (5, WAV2VEC2_WIDTH)


def test_bfloat16_stays_close(encoder: Wav2Vec2, folder: Path) -> None:
    low = Wav2Vec2(folder, precision="bfloat16")
    one, other = encoder.encode(_sounds()).vectors, low.encode(_sounds()).vectors
    cosine = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert (cosine > 0.99).all()
    assert low.identity == encoder.identity, "new items may be encoded elsewhere"


def test_the_identity_follows_the_weights(encoder: Wav2Vec2, folder: Path, tmp_path: Path) -> None:
    assert Wav2Vec2(folder, precision="float32").identity == encoder.identity
    assert Wav2Vec2(save_wav2vec2(tmp_path, head=True), precision="float32").identity != encoder.identity


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing-here"):
        Wav2Vec2(tmp_path / "nothing-here")


def test_the_folder_of_another_model_is_named(tmp_path: Path) -> None:
    save_clip(tmp_path / "pictures")
    with pytest.raises(ConfigError, match=r"pictures holds a model of the kind 'clip', not Wav2Vec2"):
        Wav2Vec2(tmp_path / "pictures")


def test_another_rate_is_refused(tmp_path: Path) -> None:
    saved = save_wav2vec2(tmp_path)
    change_json(saved / "preprocessor_config.json", sampling_rate=8000)
    with pytest.raises(ConfigError, match="8000 Hz"):
        Wav2Vec2(saved)
