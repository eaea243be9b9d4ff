"""Reading phrases: the plainest text of one, whether a text is one of its texts, and how many there are."""

from __future__ import annotations

import math

from dynmm.types import OneOf, Phrase


def plain(phrase: Phrase) -> str:
    """The text in which every choice falls on the first way."""
    if isinstance(phrase, str):
        return phrase
    return plain(phrase.ways[0]) if isinstance(phrase, OneOf) else "".join(plain(part) for part in phrase)


def says(phrase: Phrase, text: str) -> bool:
    """Whether a text is one of the phrase's, to the letter."""
    return len(text) in _ends(phrase, text, {0})


def _ends(phrase: Phrase, text: str, starts: set[int]) -> set[int]:
    """Where the phrase can end in the text from any of these places: ends are merged, so that nothing multiplies."""
    if isinstance(phrase, str):
        return {start + len(phrase) for start in starts if text.startswith(phrase, start)}
    if isinstance(phrase, OneOf):
        return set[int]().union(*(_ends(way, text, starts) for way in phrase.ways))
    for part in phrase:
        starts = _ends(part, text, starts)
    return starts


def wealth(phrase: Phrase) -> int:
    """In how many ways the phrase can be read; ways with the same text count each."""
    if isinstance(phrase, str):
        return 1
    if isinstance(phrase, OneOf):
        return sum(wealth(way) for way in phrase.ways)
    return math.prod(wealth(part) for part in phrase)
