"""English for counts, lists and the data's own noun and verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dynmm.rationale.shown import clean

if TYPE_CHECKING:
    from dynmm.interactions.dataset import DatasetInfo

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SAME = ("series", "species", "news", "sheep", "fish", "deer", "aircraft", "music", "software", "media", "data")
_IRREGULAR = {
    **{word: word for word in _SAME},
    "person": "people",
    "child": "children",
    "man": "men",
    "woman": "women",
    "mouse": "mice",
    "foot": "feet",
    "tooth": "teeth",
    "goose": "geese",
    "quiz": "quizzes",
    "lens": "lenses",
    "gas": "gases",
    **{f"{word}o": f"{word}oes" for word in ("her", "potat", "tomat", "ech")},
    **{f"{word}fe": f"{word}ves" for word in ("kni", "li", "wi")},
    **{f"{word}f": f"{word}ves" for word in ("hal", "lea", "loa", "shel", "wol", "thie", "cal")},
}

#: What follows one of these says more of the noun, and stays as it is: pieces of music.
_FURTHER = ("of", "in", "for", "with", "to", "from", "on", "at")


@dataclass(frozen=True)
class Words:
    """What an item is called and what people do with it: "film", "films", "watched".

    verb: past tense, which stands before its object: "listened to". All sentences are in the active voice, so the
    participle is never needed.
    """

    noun: str
    nouns: str
    verb: str

    @classmethod
    def of(cls, info: DatasetInfo) -> Words:
        """The words of a data set; "item" and "chose" where it has none."""
        noun = clean(info.noun, 40) or "item"
        return cls(noun, plural(noun), clean(info.verb, 40) or "chose")


def plural(noun: str) -> str:
    """films, boxes, stories, pieces of music. What is in the plural already stays so."""
    words = noun.split(" ")
    last = next((place for place, word in enumerate(words) if place and word.lower() in _FURTHER), len(words)) - 1
    return " ".join([*words[:last], _plural(words[last]), *words[last + 1 :]])


def _plural(word: str) -> str:
    lower = word.lower()
    if lower in _IRREGULAR:
        many = _IRREGULAR[lower]
        return many.capitalize() if word[:1].isupper() else many
    if lower.endswith("sis"):
        return word[:-2] + "es"
    if lower.endswith(("ss", "us", "is", "x", "z", "ch", "sh")):
        return word + "es"
    if lower.endswith("s"):
        return word
    if lower.endswith("y") and lower[-2:-1] not in ("", "a", "e", "i", "o", "u"):
        return word[:-1] + "ies"
    return word + "s"


def number(count: int) -> str:
    """Words up to ten, figures above."""
    return _NUMBERS[count - 1] if 1 <= count <= len(_NUMBERS) else f"{count:,}"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """a; a and b; a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def amount(facts: Mapping[str, Any], name: str) -> str:
    """A count as the facts hold it: "231", "more than 200", "at least 5"."""
    if name in facts:
        return f"{facts[name]:,}"
    if f"{name}_more_than" in facts:
        return f"more than {facts[f'{name}_more_than']:,}"
    return f"at least {facts[f'{name}_at_least']:,}"


def people(facts: Mapping[str, Any], name: str = "users") -> str:
    """An amount of people: "231 people", "1 person"."""
    return f"{amount(facts, name)} {'person' if facts.get(name) == 1 else 'people'}"
