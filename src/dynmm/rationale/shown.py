"""Text of the catalogue, made safe to show. Titles and attributes are data: nothing within them is interpreted."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dynmm.factids import value_text

if TYPE_CHECKING:
    from dynmm.protocols import FactStore

#: Longer titles end with an ellipsis.
TITLE_LENGTH = 80

#: No more than this is looked at.
_READ = 4096

#: Joiners belong to some scripts and to emoji; unlike other marks of format they do not change the direction.
_JOINERS = "\u200c\u200d"
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")

#: Curly double quotes delimit what is quoted, so within it they are written straight.
_STRAIGHT = str.maketrans(dict.fromkeys("“”„‟", '"'))


def clean(text: str, length: int = TITLE_LENGTH) -> str:
    """One line of visible text, at most `length` characters, the last an ellipsis where it was cut.

    Control characters and marks of direction are dropped, white space becomes single spaces, curly double quotes
    become straight. Empty where nothing visible is left. No letter is cut from its accents.
    """
    line = " ".join(text[:_READ].translate(_STRAIGHT).split())
    kept = line if line.isprintable() else _visible(line)
    if all(unicodedata.category(one) in _INVISIBLE for one in kept):
        return ""
    return kept if len(kept) <= length and len(text) <= _READ else _cut(kept, length)


def _visible(line: str) -> str:
    kept = "".join(one for one in line if unicodedata.category(one) not in ("Cc", "Cf", "Cs") or one in _JOINERS)
    return " ".join(kept.split())


def _cut(text: str, length: int) -> str:
    end = min(length - 1, len(text))
    while 0 < end < len(text) and (_hangs_on(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return text[: end or length - 1].rstrip(" " + _JOINERS) + "…"


def _hangs_on(one: str) -> bool:
    """True for what belongs to the character before it: accents, signs of variation, joiners, skin tones."""
    return unicodedata.category(one).startswith("M") or one in _JOINERS or "\U0001f3fb" <= one <= "\U0001f3ff"


def quoted(text: str) -> str:
    """Between curly quotes, which `clean` leaves nowhere else."""
    return f"“{text}”"


def shown_value(value: object) -> str | int | float:
    """An attribute's value: numbers, true and false as they are, anything else as clean text."""
    if isinstance(value, int | float):
        return value
    return clean(value_text(value))


def unquoted_where_plain(text: str) -> str:
    """A word of the data as it is where it holds letters, digits, spaces and hyphens alone, else quoted."""
    plain = spaced(text)
    return plain if plain.replace(" ", "").replace("-", "").isalnum() else quoted(clean(text, 40))


def spaced(text: str) -> str:
    """The name of a column with spaces for underscores."""
    return clean(text, 40).replace("_", " ")


def shown_titles(items: Iterable[str], store: FactStore) -> dict[str, str]:
    """What each item is called. Items that would be called the same get their year, else their brand, else their id."""
    ids = sorted(set(items))
    names = {item: clean(store.title(item) or "") or _shown_id(item) for item in ids}
    apart: tuple[Callable[[str], Any], ...] = (
        lambda item: (store.about(item) or {}).get("year"),
        lambda item: (store.about(item) or {}).get("brand"),
        _shown_id,
    )
    plain = dict(names)
    for distinction in apart:
        for group in _namesakes(names):
            marks = {item: clean(str(distinction(item) or ""), 40) for item in group}
            if all(marks.values()) and len(set(marks.values())) > 1:
                names.update({item: f"{plain[item]} ({marks[item]})" for item in group})
    if _namesakes(names):  # a title that is written like another's mark, or ids that look alike
        return {item: f"{plain[item]} [{quote(item, safe='')}]" for item in ids}
    return names


def _namesakes(names: dict[str, str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for item, name in names.items():
        groups.setdefault(name.casefold(), []).append(item)
    return [group for group in groups.values() if len(group) > 1]


def _shown_id(item: str) -> str:
    return clean(item) or quote(item, safe="")


def for_html(text: str) -> str:
    """Text as HTML shows it, in an element or in an attribute's quotes."""
    return html.escape(text, quote=True)


def for_prompt(name: str, text: str, length: int = 2_000) -> str:
    """Text of the catalogue within a prompt: one line between tags, which it can neither close nor open.

    name: of the tag, letters. A model is told beforehand that what stands between such tags is data.
    """
    assert name.isalpha()
    return f"<{name}>{html.escape(clean(text, length), quote=False)}</{name}>"
