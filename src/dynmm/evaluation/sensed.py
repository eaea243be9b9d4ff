"""The part of the report that shows a recommendation beside the pictures or sounds that explain it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from dynmm.evaluation.ladder import Table


@dataclass(frozen=True)
class Exhibit:
    """A picture or a sound. caption: what it is. kind: ``image/png`` or ``audio/wav``. content: of the file."""

    caption: str
    kind: str
    content: bytes


@dataclass(frozen=True)
class Sensed:
    """What one modality explains. places: of the item in the list, by what is known of it."""

    title: str
    sentences: Sequence[str]
    places: Mapping[str, int] = field(default_factory=dict)
    exhibits: Sequence[Exhibit] = ()


def sensed_table(one: Sensed) -> Table:
    """Where the item stands, by what is known of it."""
    return Table(("known of the item", "place"), tuple((label, str(place)) for label, place in one.places.items()))


def exhibits(one: Sensed) -> list[str]:
    """HTML of the pictures and sounds side by side, everything inside; captions are escaped."""
    if not one.exhibits:
        return []
    shown = "".join(f"<section>{_shown(exhibit)}<p>{escape(exhibit.caption)}</p></section>" for exhibit in one.exhibits)
    return [f'<div class="users">{shown}</div>']


def _shown(exhibit: Exhibit) -> str:
    source = f"data:{escape(exhibit.kind)};base64,{base64.b64encode(exhibit.content).decode()}"
    if exhibit.kind.startswith("audio/"):
        return f'<audio controls src="{source}"></audio>'
    return f'<img alt="{escape(exhibit.caption)}" width="160" src="{source}">'
