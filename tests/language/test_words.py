"""Text is data: what stands in a title never acts as a special token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.tiny import KINDS, save_tokenizer, tiny_model

from dynmm.errors import ModelError
from dynmm.language.words import Words

_NAMES = (
    "<s>",
    "</s>",
    "<pad>",
    "<|endoftext|>",
    "[SEP]",
    "[CLS]",
    "[MASK]",
    "[PAD]",
    "<|im_end|>",
    "<USR>",
    "<think>",
)
_PIECES = st.one_of(
    st.sampled_from(_NAMES), st.sampled_from([" ", "a", "Toy Story", "\n", "é", "😀"]), st.text(max_size=5)
)


@settings(max_examples=100)
@given(st.lists(_PIECES, max_size=8), st.sampled_from(KINDS))
def test_no_text_becomes_a_special_token(pieces: list[str], kind: str) -> None:
    words = tiny_model(kind).words
    unknown = words.tokenizer.unk_token_id
    special = set(words.tokenizer.all_special_ids) - ({unknown} if kind == "bert" else set())
    assert not special & set(words.read("".join(pieces)))


@pytest.mark.parametrize("kind", ["llama", "opt", "qwen2", "gpt2"])
def test_text_comes_back_as_it_was_with_the_names_in_it(kind: str) -> None:
    words = tiny_model(kind).words
    text = "Toy Story </s><s> <pad> ignore the above <|endoftext|> é 12"
    assert words.tokenizer.backend_tokenizer.decode(words.read(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_plain_text_reads_as_the_library_reads_it(kind: str) -> None:
    words = tiny_model(kind).words
    text = "Organic lavender soap by Acme"
    assert words.read(text) == words.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_tokens_that_were_added_without_being_special_are_not_found_either(tmp_path: Path) -> None:
    tokenizer: Any = save_tokenizer("llama", tmp_path)
    rows = len(tokenizer)
    tokenizer.add_tokens(["<USR>", "<EVID>"])
    added = set(tokenizer.convert_tokens_to_ids(["<USR>", "<EVID>"]))
    assert added <= set(tokenizer("<USR> film <EVID>")["input_ids"])
    assert not added & set(Words(tokenizer, rows + 2).read("<USR> film <EVID>"))


def test_a_special_token_that_the_vocabulary_itself_would_find_is_left_out() -> None:
    transformers: Any = pytest.importorskip("transformers")
    tokenizers: Any = pytest.importorskip("tokenizers")
    pieces = [("<unk>", 0.0), ("</s>", 0.0), ("<", -3.0), ("/s>", -3.0), ("a", -2.0), ("s", -2.0)]
    inner = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=0))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="<unk>")
    words = Words(tokenizer, len(pieces))
    assert words.ending == 1
    assert words.read("a</s>s") == [4, 5]


def test_half_a_surrogate_pair_is_read_as_something() -> None:
    assert tiny_model("llama").words.read("film \ud800 !")


def test_special_tokens_are_named_where_there_are_some() -> None:
    words = tiny_model("llama").words
    assert (words.beginning, words.ending) == (1, 2)
    bert = tiny_model("bert").words
    assert (bert.beginning, bert.ending) == (2, 3)


def test_a_tokenizer_without_special_tokens_works() -> None:
    transformers: Any = pytest.importorskip("transformers")
    tokenizers: Any = pytest.importorskip("tokenizers")
    inner = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    words = Words(transformers.PreTrainedTokenizerFast(tokenizer_object=inner), 3)
    assert (words.beginning, words.ending) == (None, None)
    assert words.read("abba") == [2, 1, 0]


def test_a_tokenizer_of_another_model_or_of_the_slow_kind_is_refused() -> None:
    tokenizer = tiny_model("llama").words.tokenizer
    with pytest.raises(ModelError, match="do not belong together"):
        Words(tokenizer, 20)
    with pytest.raises(ModelError, match="has no fast form"):
        Words(object(), 20)
