"""Names of facts. A fact id says completely which fact is meant, so that anyone can look it up again.

    followed:<j>><i>      together:<j>><i>      union:<j1>,<j2>,...><i>
    attribute:<column>=<value>:<j>><i>          alike:<modality>:<j>><i>
    trend:<days>@<moment in ms UTC>><i>         taken:><i>

i is the item that the fact speaks for, j an item that it starts from. Every part is percent-encoded, so ids may hold
any character. One fact has one name: a text that is not written exactly so is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import quote, unquote

from dynmm.errors import DataError

FactKind = Literal["followed", "together", "union", "attribute", "alike", "trend", "taken"]
FACT_KINDS: tuple[str, ...] = get_args(FactKind)

#: Kinds of facts that count people. The others are about items alone.
KINDS_OF_PEOPLE = frozenset({"followed", "together", "union", "trend", "taken"})

#: How many items a kind starts from, at least and at most; None is any number.
_SOURCES: dict[str, tuple[int, int | None]] = {
    "followed": (1, 1),
    "together": (1, 1),
    "union": (1, None),
    "attribute": (1, 1),
    "alike": (1, 1),
    "trend": (0, 0),
    "taken": (0, 0),
}

#: Which of name and value a kind has.
_NAMED = {"attribute": (True, True), "alike": (True, False), "trend": (True, True)}

_DAYS = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_MOMENT = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True)
class FactId:
    """One fact, by name. Ids of items are those of the outside world.

    kind: one of `FACT_KINDS`. item: what the fact speaks for. sources: items that it starts from, none for `trend` and
    `taken`. name, value: column and value of an attribute, see `value_text`; the modality of a likeness; days and
    moment of a trend. Empty where the kind has none. Raises DataError for parts that name no fact.
    """

    kind: str
    item: str
    sources: tuple[str, ...] = ()
    name: str = ""
    value: str = ""

    def __post_init__(self) -> None:
        if self.kind not in FACT_KINDS:
            raise _unsound(f"the kind {self.kind!r} is none of {', '.join(FACT_KINDS)}")
        least, most = _SOURCES[self.kind]
        if len(self.sources) < least or (most is not None and len(self.sources) > most):
            raise _unsound(f"{self.kind} starts from {len(self.sources)} items")
        if len(set(self.sources)) < len(self.sources):
            raise _unsound("it names an item twice")
        if (bool(self.name), bool(self.value)) != _NAMED.get(self.kind, (False, False)):
            raise _unsound(f"{self.kind} with the name {self.name!r} and the value {self.value!r}")
        if not all((self.item, *self.sources)):
            raise _unsound("an item id is empty")
        if self.kind == "trend" and not (_DAYS.fullmatch(self.name) and _MOMENT.fullmatch(self.value)):
            raise _unsound(f"{self.name!r} days and the moment {self.value!r}: both are whole numbers")
        try:
            "".join((self.item, *self.sources, self.name, self.value)).encode()
        except UnicodeEncodeError as error:
            raise _unsound("a part cannot be written as UTF-8") from error

    @classmethod
    def attribute(cls, column: str, value: object, source: str, item: str) -> FactId:
        """`source` and `item` share a value of an attribute."""
        return cls("attribute", item, (source,), column, value_text(value))

    @classmethod
    def trend(cls, days: int, moment: int, item: str) -> FactId:
        """How many people took an item within some days before a moment in ms UTC."""
        return cls("trend", item, (), str(days), str(moment))

    @property
    def days(self) -> int:
        """The window of a trend."""
        assert self.kind == "trend"
        return int(self.name)

    @property
    def moment(self) -> int:
        """The end of a trend's window, ms UTC."""
        assert self.kind == "trend"
        return int(self.value)

    @property
    def text(self) -> str:
        """The id as outputs hold it."""
        return f"{self.kind}:{self._middle()}{','.join(map(_coded, self.sources))}>{_coded(self.item)}"

    def _middle(self) -> str:
        if self.kind == "attribute":
            return f"{_coded(self.name)}={_coded(self.value)}:"
        if self.kind == "alike":
            return f"{_coded(self.name)}:"
        return f"{self.name}@{self.value}" if self.kind == "trend" else ""

    @classmethod
    def parse(cls, text: str) -> FactId:
        """The fact that a text names. Raises DataError for one that names none or is not written as `text` writes."""
        kind, _, rest = text.partition(":")
        start, arrow, item = rest.partition(">")
        name = value = ""
        if kind == "trend":
            (name, _, value), start = start.partition("@"), ""
        elif kind in ("attribute", "alike"):
            name, _, start = start.partition(":")
            name, _, value = name.partition("=")
        try:
            sources = tuple(map(_plain, start.split(","))) if start else ()
            fact = cls(kind, _plain(item), sources, _plain(name), _plain(value))
        except (DataError, UnicodeDecodeError) as error:
            raise DataError(f"{text[:200]!r} is no fact id: {error}; copy the id as it was given") from error
        if not arrow or fact.text != text:
            raise DataError(f"{text[:200]!r} is no fact id: it is not written as ids are; copy the id as it was given")
        return fact


def value_text(value: object) -> str:
    """How an attribute's value stands in an id: text as it is, numbers as JSON writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _coded(part: str) -> str:
    return quote(part, safe="")


def _plain(part: str) -> str:
    return unquote(part, errors="strict")


def _unsound(why: str) -> DataError:
    return DataError(f"no fact is named so: {why}")
