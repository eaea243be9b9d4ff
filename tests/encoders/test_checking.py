"""Encoders of a person's own that break their contract: an error that names them, and nothing in the cache."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dynmm.catalogue.catalogue import Catalogue
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Raising", r"failed on a batch of 2 \(RuntimeError: the reader is out of ink\)"),
        ("OneRow", r"gives vectors of shape \(1, 2\) for a batch of 2, and \(2, 2\) is what its width says"),
        ("Wider", r"gives vectors of shape \(2, 3\)"),
        ("Wordless", r"gives attributes of shape \(\) for a batch of 2, and \(2, 1\) is what its attribute_names says"),
        ("Bare", "gives a ndarray in place of an Encoded"),
    ],
)
def test_a_broken_encoder_is_named(name: str, complaint: str, tmp_path: Path) -> None:
    catalogue = Catalogue.from_frames(pl.DataFrame({"item_id": ["a", "b"], "title": ["one", "two"]}))
    path = f"tests.encoders.broken:{name}"
    settings = EncoderSettings(text=path, image="off", audio="off")
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"the encoder '{path}' {complaint}"):
            encode_catalogue(catalogue, settings, cache=tmp_path)
