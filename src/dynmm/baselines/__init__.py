"""Comparison systems. Each is one file that satisfies `dynmm.system.System`, plus one line in the table.

A class named in the table has `settings_type` (its `Settings`), `learns_online`, and a constructor that
takes the settings alone, or nothing for the defaults.
"""

from __future__ import annotations

import importlib
import re
from typing import Any, ClassVar, Protocol, cast

from pydantic import ValidationError

from dynmm.configuration import Settings
from dynmm.errors import ConfigError
from dynmm.system import System

#: Name in every table and file -> "module:class". Adding a comparison system is one line here.
TABLE: dict[str, str] = {
    "random": "dynmm.baselines.chance:Random",
    "popularity": "dynmm.baselines.popularity:Popularity",
    "recent-popularity-1d": "dynmm.baselines.recent_popularity:RecentPopularity",
    "recent-popularity-7d": "dynmm.baselines.recent_popularity:RecentPopularity",
    "recent-popularity-30d": "dynmm.baselines.recent_popularity:RecentPopularity",
    "item-knn": "dynmm.baselines.item_knn:ItemKNN",
    "online-item-knn": "dynmm.baselines.online_item_knn:OnlineItemKNN",
    "als": "dynmm.baselines.als:ALS",
    "bpr": "dynmm.baselines.bpr:BPR",
}

#: A name whose number is a setting: any window in days works, not only those of the table.
_RECENT = re.compile(r"recent-popularity-(\d+)d")


class Baseline(Protocol):
    """What a class in the table is, beside being a `System` once constructed."""

    settings_type: ClassVar[type[Settings]]
    learns_online: ClassVar[bool]

    def __call__(self, settings: Settings | None = None) -> System: ...


def names() -> tuple[str, ...]:
    """Every name in the table."""
    return tuple(TABLE)


def baseline(name: str) -> Baseline:
    """The class behind a name, imported now. Raises ConfigError for a name that is not there."""
    path = TABLE["recent-popularity-1d"] if _RECENT.fullmatch(name) else TABLE.get(name)
    if path is None:
        known = ", ".join(TABLE)
        raise ConfigError(f"there is no comparison system {name!r}; there are: {known}")
    module, _, attribute = path.partition(":")
    return cast(Baseline, getattr(importlib.import_module(module), attribute))


def create(name: str, **settings: Any) -> System:
    """A comparison system by name, unfitted. settings: fields of its `settings_type`.

    Raises ConfigError for an unknown name, an unknown key or a value out of range.
    """
    factory = baseline(name)
    if windowed := _RECENT.fullmatch(name):
        settings = {"days": int(windowed[1]), **settings}
    try:
        return factory(factory.settings_type(**settings))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{name}: {place}: {first['msg']} (got {first['input']!r})") from error
