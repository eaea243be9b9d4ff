from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.encoders.tiny_models import CLIP_WIDTH, save_clip

from dynmm.encoders.zeroshot import DEFAULT_WORDS, NEUTRAL, ZeroShot, prompts
from dynmm.errors import ConfigError

pytest.importorskip("transformers")
#: The library alone takes seconds to import.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    from transformers import AutoTokenizer, CLIPModel

    folder: Path = save_clip(tmp_path_factory.mktemp("clip"))
    return CLIPModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def test_what_is_asked() -> None:
    assert prompts(["is dark", "of a car", "space"]) == {
        "dark": "a picture that is dark",
        "a car": "a picture of a car",
        "space": "a picture of space",
    }


def test_the_default_words_have_names_of_their_own() -> None:
    assert len(prompts(DEFAULT_WORDS)) == len(DEFAULT_WORDS) >= 40


@pytest.mark.parametrize("words", [["is dark", "dark"], ["of "], [""], ["is"]])
def test_words_that_say_nothing_or_the_same_are_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="word"):
        prompts(words)


def test_the_softmax_over_both_descriptions(parts: tuple[Any, Any]) -> None:
    model, tokenizer = parts
    pictures = torch.nn.functional.normalize(torch.randn(4, CLIP_WIDTH, generator=torch.Generator().manual_seed(1)))
    given = tokenizer(["a picture of a car", NEUTRAL], padding=True, return_tensors="pt")
    with torch.inference_mode():
        described = model.text_projection(model.text_model(**given).pooler_output)
        described = torch.nn.functional.normalize(described, dim=-1)
        expected = torch.softmax(model.logit_scale.exp() * pictures @ described.T, dim=1)[:, 0]
        found = ZeroShot(model, tokenizer, ["of a car"]).probabilities(pictures)[:, 0]
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_picture_nearer_to_the_words_has_more_of_them(parts: tuple[Any, Any]) -> None:
    model, tokenizer = parts
    asked = ZeroShot(model, tokenizer, ["is dark"])
    towards = torch.nn.functional.normalize(asked._directions, dim=-1)
    ahead, back = asked.probabilities(towards)[0, 0], asked.probabilities(-towards)[0, 0]
    assert ahead > 0.5 > back
    assert ahead + back == pytest.approx(1, abs=1e-5)


def test_a_word_beyond_what_the_model_reads_is_cut(parts: tuple[Any, Any]) -> None:
    model, tokenizer = parts
    assert ZeroShot(model, tokenizer, ["of " + "a very long story " * 20]).probabilities(torch.zeros(1, CLIP_WIDTH)) > 0
