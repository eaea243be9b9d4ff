"""Encoders of a person's own that break their contract: an error that names them, and nothing in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from tests.encoders.broken import Raising

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import Content
from dynmm.encoders.checking import encode_checked
from dynmm.encoders.encoder import Encoded
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.errors import ConfigError
from dynmm.memory import OutOfMemory


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


class _Crowded(Raising):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def encode(self, contents: Sequence[Content]) -> Encoded:
        raise self._error


@pytest.mark.parametrize("name", ["minilm", "mine:Crowded"])
@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")]
)
def test_memory_that_runs_out_names_the_setting(name: str, error: Exception) -> None:
    words = f"a batch of 3 for the encoder '{name}' \\(encoders.text_batch\\) does not fit into memory; use a smaller"
    with pytest.raises(OutOfMemory, match=words):
        encode_checked(_Crowded(error), name, ["a", "b", "c"])


def test_what_else_fails_in_our_own_encoders_is_no_mistake_of_the_users() -> None:
    with pytest.raises(RuntimeError, match="out of ink"):
        encode_checked(Raising(), "minilm", ["a"])
