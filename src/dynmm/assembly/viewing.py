"""Whom a view tells what of one item: up to which offset, and which facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynmm.evidence.gathering import Audience
from dynmm.factids import FactId
from dynmm.protocols import FactStore
from dynmm.rationale.claims import may_be_told
from dynmm.rationale.settings import RationaleSettings


def audience_of(item: str, store: FactStore, settings: RationaleSettings) -> Audience:
    """Who is told of an item. item: outside id. settings: of the view."""

    def tells(fact: FactId, stored: Mapping[str, Any]) -> bool:
        return may_be_told(fact, stored, settings, store.n_items)

    return Audience(tells, store.released(item, settings.release_every) if settings.view == "public" else None)
