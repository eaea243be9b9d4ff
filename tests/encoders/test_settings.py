"""The words that a configuration gives to CLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.catalogue.files import picture_file
from tests.encoders.tiny_models import save_clip

from dynmm.catalogue.catalogue import Catalogue
from dynmm.config import Config, read_config
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.errors import ConfigError

LOOKING = {"image": "clip:somewhere"}


def _words(**named: Any) -> tuple[str, ...] | None:
    return EncoderSettings.model_validate(named).words


def test_words_are_a_list_or_the_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("is dark\n\n of a car \nspäce\n", encoding="utf-8")
    assert _words(**LOOKING) is None
    assert _words(**LOOKING, words=["is dark"]) == ("is dark",)
    assert _words(**LOOKING, words=[]) == ()
    assert _words(**LOOKING, words=str(file)) == ("is dark", "of a car", "späce")
    typed = read_config(None, ["encoders.image=clip:somewhere", f"encoders.words={file}"])
    file.unlink()
    kept = Config.of(typed.model_dump(mode="json"))
    assert kept.encoders.words == ("is dark", "of a car", "späce")


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ({**LOOKING, "words": "nowhere.txt"}, r"encoders\.words: nowhere\.txt is no readable text file .*one word"),
        ({**LOOKING, "words": ["is dark", "dark"]}, "the word 'dark' is listed twice"),
        (
            {"image": "visual", "words": ["is dark"]},
            r"encoders\.words: auto, visual, auto look for no words; clip would",
        ),
        ({"words": []}, "look for no words"),
    ],
)
def test_words_that_nobody_could_look_for_are_refused(named: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        _words(**named)


def test_a_file_without_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\n\n")
    with pytest.raises(ConfigError, match=r"words\.txt has no words; write one a line, or set \[\]"):
        _words(**LOOKING, words=str(tmp_path / "words.txt"))


@pytest.mark.slow
def test_other_words_are_another_encoding(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    rows = {"item_id": ["a"], "modality": ["image"], "format": ["png"], "bytes": [picture_file()]}
    catalogue = Catalogue.from_frames(pl.DataFrame({"item_id": ["a"], "title": ["A"]}), pl.DataFrame(rows))
    named = {"text": "off", "audio": "off", "image": f"clip:{save_clip(tmp_path / 'clip')}"}
    seen = []
    for words in (["is dark", "of a car"], ["of the sea"]):
        settings = EncoderSettings.model_validate({**named, "words": words})
        [features] = encode_catalogue(catalogue, settings, cache=tmp_path)
        assert features.attributes is not None
        seen.append((features.attributes.names, features.identity))
    assert [names for names, _ in seen] == [("dark", "a car"), ("the sea",)]
    assert seen[0][1] != seen[1][1]
