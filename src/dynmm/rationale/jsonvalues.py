"""JSON values: whether two are the same, and what to show of numbers that no text holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: Bits of a whole number from which on it is no float. Python writes numbers of a few thousand digits at most.
_LONG = 1024


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: numbers by value, true is not 1, lists and tuples alike."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def writable(value: Any) -> Any:
    """The same value with words in place of what JSON does not hold, or readers of it could not read."""
    try:
        return _writable(value)
    except RecursionError:
        return "a value that is nested too deeply"


def _writable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _writable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(one) for one in value]
    endless = isinstance(value, float) and math.isinf(value)
    if endless or (isinstance(value, int) and value.bit_length() > _LONG):
        return "a number beyond 1e308" if value > 0 else "a number below -1e308"
    return value
