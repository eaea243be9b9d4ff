"""One text per item, from what the item table says of it."""

from __future__ import annotations

import re

import polars as pl

from dynmm.interactions.fields import BRAND, CATEGORIES, DESCRIPTION, TITLE

#: Sentence encoders read a few hundred words; a longer description only costs time and memory.
MAX_CHARACTERS = 2_000


#: Signs of scripts that put no space between words: Thai, Lao, Burmese, Khmer, kana, and Chinese characters.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def spaced(text: str) -> str:
    """The same with each sign of a script without spaces standing alone, as the nearest thing to a word."""
    return _UNSPACED.sub(r" \g<0> ", text)


def texts_of(table: pl.DataFrame) -> list[str | None]:
    """Title, brand, categories and description, in that order, one sentence each; None where all are empty.

    table: I rows with the columns of `fields.ITEM_SCHEMA`. White space is made single, control characters are
    dropped, and the text ends after `MAX_CHARACTERS` at the end of a word.
    """
    columns = (table[TITLE], table[BRAND], table[CATEGORIES], table[DESCRIPTION])
    return [_joined(*row) for row in zip(*(column.to_list() for column in columns), strict=True)]


def _joined(title: str | None, brand: str | None, categories: list[str | None] | None, said: str | None) -> str | None:
    kinds = ", ".join(word for word in map(_plain, categories or ()) if word)
    parts = [part for part in (_plain(title), _plain(brand), kinds, _plain(said)) if part]
    if not parts:
        return None
    sentences = [part if part[-1] in ".!?" else f"{part}." for part in parts[:-1]]
    return _cut(" ".join([*sentences, parts[-1]]))


def _plain(text: str | None) -> str:
    if not text:
        return ""
    spaced = " ".join(text.split())
    return spaced if spaced.isprintable() else "".join(sign for sign in spaced if sign.isprintable()).strip()


def _cut(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    head = text[: MAX_CHARACTERS + 1]
    whole_words = head.rpartition(" ")[0]
    return whole_words or head[:MAX_CHARACTERS]
