"""A rationale from JSON, strictly: every field is there, of its type, and nothing else is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from dynmm.errors import RationaleUnreadable
from dynmm.rationale.jsonvalues import writable
from dynmm.rationale.settings import View
from dynmm.types import Claim, Rationale

VIEWS: tuple[str, ...] = get_args(View)

#: Halves of characters, which JSON can name and no file can hold.
_HALVES = re.compile("[\ud800-\udfff]")

#: What is longer was not written here.
_MOST_CLAIMS = 100


def read_rationale(data: object) -> Rationale:
    """The rationale that a JSON object holds, as `Rationale.as_json` writes it.

    Raises RationaleUnreadable, which names the field and what belongs there. Whether it is true is not asked here.
    """
    fields = _fields(data, "the rationale", _RATIONALE)
    claims = fields.pop("claims")
    if len(claims) > _MOST_CLAIMS:
        raise RationaleUnreadable(f"claims: {len(claims)} of them; a rationale has at most {_MOST_CLAIMS}")
    if fields["view"] == "public" and fields["k"] < 2:
        raise RationaleUnreadable("k: 1 in the public view, where it is 2 or more")
    return Rationale(**fields, claims=tuple(_claim(one, f"claims[{place}]") for place, one in enumerate(claims)))


def _claim(data: object, where: str) -> Claim:
    fields = _fields(data, where, _CLAIM)
    fields["evidence"] = tuple(fields["evidence"])
    return Claim(**fields)


def _fields(data: object, where: str, shape: Mapping[str, tuple[Callable[[Any], bool], str]]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise RationaleUnreadable(f"{where}: {_brief(data)} is no JSON object")
    if missing := [name for name in shape if name not in data]:
        raise RationaleUnreadable(f"{where}: the field {missing[0]!r} is missing; verify what `recommend` gave, whole")
    if unknown := [name for name in data if name not in shape]:
        raise RationaleUnreadable(f"{where}: no rationale has the field {_brief(unknown[0])}; take it out")
    for name, (fits, what) in shape.items():
        if not fits(data[name]):
            raise RationaleUnreadable(f"{where}: {name} is {what}, not {_brief(data[name])}")
    return {name: data[name] for name in shape}


def _brief(value: object) -> str:
    shown = repr(writable(value))
    return shown if len(shown) <= 100 else shown[:100] + "…"


def _text(value: object) -> bool:
    """Text that can be written as UTF-8."""
    return isinstance(value, str) and not _HALVES.search(value)


def _facts(value: object) -> bool:
    """A JSON object that can be written: finite numbers, whole characters, no abyss of brackets."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(value, Mapping)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _share(value: object) -> bool:
    """Any number: one that is no share is a problem of a rationale that can be read."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


_RATIONALE: dict[str, tuple[Callable[[Any], bool], str]] = {
    "user": (lambda value: value is None or (_text(value) and value != ""), "an id or null"),
    "item": (lambda value: _text(value) and value != "", "an id"),
    "text": (_text, "a text"),
    "as_of_offset": (lambda value: _whole(value) and value >= 0, "a whole number from 0 on"),
    "claims": (lambda value: isinstance(value, list | tuple), "a list"),
    "view": (lambda value: value in VIEWS, f"one of {', '.join(VIEWS)}"),
    "k": (lambda value: _whole(value) and 1 <= value <= 1_000_000, "a whole number from 1 on"),
    "told": (_share, "a number"),
}

_CLAIM: dict[str, tuple[Callable[[Any], bool], str]] = {
    "kind": (_text, "a text"),
    "text": (_text, "a text"),
    "evidence": (
        lambda value: isinstance(value, list | tuple) and len(value) > 0 and all(map(_text, value)),
        "a list of ids",
    ),
    "facts": (_facts, "a JSON object of finite numbers and whole characters"),
}
