from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tests.encoders.made import noise_picture, weights

from dynmm.encoders.mobilenet import MobileNet, resized
from dynmm.encoders.tflite import LiteModel, lite_file
from dynmm.encoders.yamnet import YamNet
from dynmm.errors import ConfigError, MissingExtraError


def test_a_folder_stands_for_its_only_model(tmp_path: Path) -> None:
    (tmp_path / "one.tflite").write_bytes(b"x")
    assert lite_file(tmp_path) == lite_file(tmp_path / "one.tflite") == tmp_path / "one.tflite"


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "one.tflite").write_bytes(b"x")
    assert lite_file(Path("~/one.tflite")) == lite_file(Path("~")) == tmp_path / "one.tflite"


def test_no_model_and_two_models_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not-here does not exist"):
        lite_file(tmp_path / "not-here")
    with pytest.raises(ConfigError, match=r"0 \.tflite files \(none\)"):
        lite_file(tmp_path)
    for name in ("one", "two"):
        (tmp_path / f"{name}.tflite").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"one\.tflite, two\.tflite"):
        lite_file(tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "text.tflite").write_text("this is no model")
    with pytest.raises(ConfigError, match=r"text\.tflite cannot be read"):
        LiteModel(tmp_path, 1)


def test_without_the_runtime_the_pip_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.tflite").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dynmm\[tflite\]'"):
        MobileNet(tmp_path)


def test_without_pillow_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dynmm\[vision\]'"):
        resized(noise_picture().pixels, (4, 4))


def test_one_model_in_the_place_of_another_is_refused() -> None:
    sounds, pictures = weights("yamnet"), weights("mobilenet-v2")
    with pytest.raises(ConfigError, match="not 8-bit RGB pictures"):
        MobileNet(sounds)
    with pytest.raises(ConfigError, match="not spectra"):
        YamNet(pictures)


def test_tensors_come_with_their_scale_and_zero_point() -> None:
    """MobileNetV2's classes are the shares of a softmax, stored in steps of 1/256."""
    model = LiteModel(weights("mobilenet-v2"), 1)
    model.run(np.zeros(model.input_shape, dtype=model.input_type))
    classes = model.tensor(model.output)
    assert classes.shape == (1001,)
    assert 0.7 < classes.sum() < 1.1
    assert np.allclose(classes * 256, np.round(classes * 256), atol=1e-4)
    with pytest.raises(ConfigError, match="no layer of 7 pooled features"):
        model.pooled(7)
