"""Which tokens may come next, so that what is written is one of the texts of a phrase and no other.

A phrase becomes one regular expression of literals, in which nothing of the catalogue is interpreted, and a library
follows it token by token. The language is regular and finite, so masks are exact: no dead ends, no text cut short.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

import torch
from torch import Tensor

from dynmm.errors import MissingExtraError, ModelError
from dynmm.language.words import Words
from dynmm.types import OneOf, Phrase


def grammar_of(phrase: Phrase) -> str:
    """A phrase in the Lark notation: one terminal, so that its alternatives are told apart however late they differ."""
    return f"start: TEXT\nTEXT: {_expression(phrase)}\n"


def _expression(phrase: Phrase) -> str:
    if isinstance(phrase, str):
        # A JSON string holds any text; what is not ASCII is written as it is, for escapes know no large characters.
        return json.dumps(phrase, ensure_ascii=False)
    parts = phrase.ways if isinstance(phrase, OneOf) else phrase
    between = " | " if isinstance(phrase, OneOf) else " "
    return f"({between.join(map(_expression, parts))})" if parts else '""'


class Grammars:
    """A tokenizer prepared for grammars. Making one reads the whole vocabulary; starting a text is cheap."""

    def __init__(self, words: Words) -> None:
        """Raises MissingExtraError without the library, ModelError for a tokenizer that it cannot follow."""
        self._library = _library()
        inner = json.loads(words.tokenizer.backend_tokenizer.to_str())
        # Marks of dialogue and the like are no text, whether or not the tokenizer calls them special.
        added = [{**one, "special": True} for one in inner["added_tokens"]]
        self.barred = frozenset(int(one["id"]) for one in added)
        inner |= {"added_tokens": added, "truncation": None, "padding": None}
        try:
            self._tokenizer = self._library.LLTokenizer(json.dumps(inner), eos_token=words.ending)
        except ValueError as error:
            raise ModelError(
                f"the model can rank but not write: its tokenizer's tokens are not known as bytes ({error})"
            ) from error

    def start(self, phrase: Phrase) -> Spelling:
        """The beginning of a text of the phrase. Raises ModelError for a phrase that is too large to follow."""
        matcher = self._library.LLMatcher(self._tokenizer, grammar_of(phrase), log_level=0)
        return Spelling(self, self._tokenizer, matcher)


class Spelling:
    """A text of a phrase, as far as it is written."""

    def __init__(self, grammars: Grammars, tokenizer: Any, matcher: Any) -> None:
        self._barred = grammars.barred
        self._tokenizer, self._matcher = tokenizer, matcher
        self.tokens: list[int] = []
        self.ended = False
        self._look()

    @property
    def text(self) -> str:
        """What is written so far."""
        return bytes(self._tokenizer.decode_bytes(self.tokens)).decode("utf-8", "replace")

    def forced(self) -> list[int]:
        """Tokens without a choice, which are hereby written; none where there is a choice, or the text has ended."""
        before = len(self.tokens)
        while not self.ended and (tokens := self._sure()):
            self._write(tokens)
        return self.tokens[before:]

    def _sure(self) -> list[int]:
        """The next tokens without a choice."""
        tokens: list[int] = self._matcher.compute_ff_tokens()
        named = next((place for place, one in enumerate(tokens) if one in self._barred), len(tokens))
        if named or not tokens:
            return tokens[:named]
        # The name of a special token within a title is to be spelled, not to be that token.
        text = bytes(self._matcher.compute_ff_bytes()).decode("utf-8", "ignore")
        spelled: list[int] = self._tokenizer.greedy_tokenize(text)
        return spelled

    def allowed(self) -> Tensor:
        """(V,) bool on the CPU: tokens that may come next; `forced` goes first. The ending is among them where the text
        may end here.

        Raises ModelError where none may: the tokenizer cannot spell any of the texts.
        """
        bits = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.uint8)
        table = (bits[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
        allowed = table.flatten()[: self._tokenizer.vocab_size].bool()
        allowed[list(self._barred)] = False
        if self._matcher.is_accepting():
            allowed[self._tokenizer.eos_token] = True
        if self._matcher.is_error() or not bool(allowed.any()):
            raise ModelError(f"the model's tokenizer cannot spell what comes after {self.text[-40:]!r}")
        return allowed

    def take(self, token: int) -> None:
        """Write one of the allowed tokens."""
        if token == self._tokenizer.eos_token and self._matcher.is_accepting():
            self.ended = True
            return
        self._write([token])

    def _write(self, tokens: list[int]) -> None:
        if tokens:
            self._matcher.consume_tokens(tokens)
            self.tokens += tokens
            self._look()

    def _look(self) -> None:
        """Ended, where the text is whole and can go on in no way. Raises ModelError where it cannot be followed."""
        if self._matcher.is_error():
            first = str(self._matcher.get_error()).splitlines()[:1]
            raise ModelError(f"what may be written cannot be followed: {first}")
        self.ended = bool(self._matcher.is_stopped())


def check_library() -> None:
    """Raise MissingExtraError where the library that follows phrases is not installed."""
    _library()


def _library() -> Any:
    try:
        return importlib.import_module("llguidance")
    except ImportError as error:
        raise MissingExtraError(
            "writing under constraints needs the library llguidance: pip install 'dynmm[llm]'"
        ) from error
