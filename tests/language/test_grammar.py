"""Grammars: what can be spelled is a text of the phrase, every text of it can be spelled, whatever a title holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.tiny import CAUSAL, tiny_model

from dynmm.errors import MissingExtraError, ModelError
from dynmm.language.grammar import Grammars, Spelling, grammar_of
from dynmm.language.words import Words
from dynmm.types import OneOf, Phrase

pytest.importorskip("llguidance", reason="constrained decoding needs the extra llm")

TITLES = (
    "Gravity",
    "</s> <s><pad>",
    'She said "no" \\ back\\slash \\n \\u0041',
    "Ignore the above. start: TEXT | /.*/",
    "七人の侍 – Amélie 👩\u200d👩\u200d👧",
    "\u202eright to left\u2066",
    "a|b (c)* [d]+ {2} ~ %ignore",
    "\x00\x1b[31m\t\n",
    "",
)


def texts(phrase: Phrase) -> Iterator[str]:
    """Every text of a phrase."""
    if isinstance(phrase, str):
        yield phrase
    elif isinstance(phrase, OneOf):
        for way in phrase.ways:
            yield from texts(way)
    else:
        yield from map("".join, product(*(list(texts(part)) for part in phrase)))


def told(title: str) -> Phrase:
    """A sentence about a title with some choices, of which one text begins another."""
    return (
        OneOf(("Because you watched “", "You watched “")),
        title,
        "”: ",
        OneOf((("more than 20 people", OneOf(("", " too"))), "it is alike")),
        OneOf((".", ". Also, “", (". Also, ", title))),
    )


def words_of(kind: str) -> Words:
    return tiny_model(kind).words


def walked(spelling: Spelling, rng: np.random.Generator) -> str:
    """A text spelled by lot."""
    while not spelling.ended:
        if not spelling.forced():
            places = spelling.allowed().nonzero()[:, 0]
            spelling.take(int(places[int(rng.integers(len(places)))]))
    return spelling.text


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("kind", CAUSAL)
def test_whatever_is_chosen_is_a_text_of_the_phrase(kind: str, title: str) -> None:
    grammars, every = Grammars(words_of(kind)), set(texts(told(title)))
    rng = np.random.default_rng(0)
    found = {walked(grammars.start(told(title)), rng) for _ in range(12)}
    assert found <= every
    assert len(found) >= 4


PHRASES = st.recursive(
    st.sampled_from(["", "a", "ab", "“x”", " ", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.lists(inner, min_size=1, max_size=3).map(tuple).map(OneOf)
    ),
    max_leaves=7,
)


@given(PHRASES, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_any_phrase_can_be_walked_and_each_of_its_texts_spelled(phrase: Phrase, seed: int) -> None:
    words = words_of("llama")
    grammars, every = Grammars(words), set(texts(phrase))
    assert walked(grammars.start(phrase), np.random.default_rng(seed)) in every
    for text in sorted(every)[:4]:
        spelling = grammars.start(phrase)
        for token in words.read(text):
            assert bool(spelling.allowed()[token]), (text, spelling.text)
            spelling.take(token)
        ending = words.ending
        assert ending is not None
        assert spelling.text == text
        assert spelling.ended or bool(spelling.allowed()[ending])


@pytest.mark.parametrize("kind", CAUSAL)
def test_no_special_token_stands_in_a_text(kind: str) -> None:
    words = words_of(kind)
    special = {0, 1, 2}
    spelling = Grammars(words).start((" ", "</s> <s><pad> x", OneOf(("!", "?"))))
    while not spelling.ended:
        if not spelling.forced():
            allowed = set(spelling.allowed().nonzero()[:, 0].tolist())
            assert not allowed & special
            spelling.take(min(allowed))
    assert not set(spelling.tokens) & special
    assert spelling.text == " </s> <s><pad> x!"


def test_forced_tokens_are_the_tokenizers_own() -> None:
    words = words_of("llama")
    spelling = Grammars(words).start("the user watched these films, and so on for long")
    assert spelling.forced() == words.read("the user watched these films, and so on for long")
    assert spelling.ended
    assert spelling.forced() == []


def test_the_ending_is_allowed_only_where_a_text_may_end() -> None:
    spelling = Grammars(words_of("llama")).start(OneOf(("a", "ab")))
    assert not bool(spelling.allowed()[2])
    (letter,) = words_of("llama").read("a")
    spelling.take(letter)
    assert bool(spelling.allowed()[2])
    spelling.take(2)
    assert spelling.ended
    assert spelling.text == "a"


def test_a_grammar_is_literals_alone() -> None:
    assert grammar_of(("x", OneOf(("“y\n”", ())), "")) == 'start: TEXT\nTEXT: ("x" ("“y\\n”" | "") "")\n'


class _Holed:
    """A tokenizer that knows a few letters, and no bytes for the others."""

    ending = 3

    def __init__(self) -> None:
        import tokenizers

        inner: Any = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1, "Ġ": 2, "</s>": 3}, []))
        inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = tokenizers.decoders.ByteLevel()
        self.tokenizer: Any = type("Fast", (), {"backend_tokenizer": inner})()


def test_letters_that_no_token_has_are_avoided_or_named() -> None:
    words: Any = _Holed()
    grammars = Grammars(words)
    assert walked(grammars.start((" a", OneOf(("c", "b")))), np.random.default_rng(0)) == " ab"
    with pytest.raises(ModelError, match="cannot spell what comes after ' a'"):
        walked(grammars.start((" a", "c")), np.random.default_rng(0))


def test_a_tokenizer_without_bytes_is_refused() -> None:
    import tokenizers

    words: Any = _Holed()
    words.tokenizer.backend_tokenizer.decoder = tokenizers.decoders.CTC()
    with pytest.raises(ModelError, match="can rank but not write"):
        Grammars(words)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match=r"dynmm\[llm\]"):
        Grammars(words_of("llama"))


def test_masks_are_as_wide_as_the_vocabulary() -> None:
    words = words_of("opt")
    allowed = Grammars(words).start(OneOf(("a", "b"))).allowed()
    assert allowed.dtype == torch.bool
    assert allowed.nonzero()[:, 0].tolist() == sorted([*words.read("a"), *words.read("b")])
