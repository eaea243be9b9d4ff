"""A hash of everything that an object holds, to prove that something did not change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from typing import Any

import numpy as np
import torch


def state_hash(value: Any) -> str:
    """The hex digest of an object's whole state: arrays, tensors, generators, containers and attributes.

    Follows attributes and slots to any depth, and survives cycles. Functions, modules and types count by
    name; what exposes no state of its own (a lock, an extension object) counts by type. So does a class that says
    `only_remembers = True`: it keeps nothing that does not follow from the rest. Values of a `cached_property` follow
    from the rest, too, and are left out.
    """
    digest = hashlib.sha256()
    _feed(value, digest, set())
    return digest.hexdigest()


def _feed(value: Any, digest: Any, above: set[int]) -> None:
    digest.update(type(value).__qualname__.encode() + b"|")
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | type):
        digest.update(repr(value).encode())
        return
    if (content := _content(value)) is None or id(value) in above:
        return
    if isinstance(content, bytes):
        digest.update(content)
        return
    above = above | {id(value)}
    for part in content:
        _feed(part, digest, above)


def _content(value: Any) -> bytes | Sequence[Any] | None:
    """The bytes of a leaf, the parts of anything else, None for what shows nothing."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return repr((value.dtype.str, value.shape)).encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, torch.Tensor) and value.layout == torch.strided:
        plain = value.detach().cpu().contiguous()
        return repr((plain.dtype, plain.shape)).encode() + plain.view(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, np.random.Generator):
        return [value.bit_generator.state]
    if isinstance(value, torch.Generator):
        return [value.get_state()]
    if isinstance(value, Mapping):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, Set):
        return sorted(state_hash(part) for part in value)
    if isinstance(value, np.ndarray | Sequence):
        return list(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return str(value.__qualname__).encode()
    return _attributes(value)


def _attributes(value: Any) -> list[Any] | None:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()) if hasattr(value, name)]
    own = getattr(value, "__dict__", None)
    if (own is None and not slots) or getattr(type(value), "only_remembers", False):
        return None
    follows = {name for name in own or {} if isinstance(getattr(type(value), name, None), cached_property)}
    return [
        {name: one for name, one in (own or {}).items() if name not in follows},
        [(name, getattr(value, name)) for name in slots if not name.startswith("__")],
    ]
