"""JSON values: whether two are the same, and whether a value is of a shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
