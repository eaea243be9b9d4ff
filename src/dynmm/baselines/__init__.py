"""Comparison systems. Each is one file that satisfies `dynmm.system.System`, plus one line in the table.

A class named in the table has `settings_type` (its `Settings`), `learns_online`, and a constructor that
takes the settings alone, or nothing for the defaults. Those in `CONTENT` take the features of the items first.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, TypeVar, cast

from pydantic import ValidationError

from dynmm.catalogue.content import MODALITIES
from dynmm.catalogue.features import Features
from dynmm.configuration import Settings
from dynmm.errors import ConfigError
from dynmm.system import System

_Kind = TypeVar("_Kind", bound=Settings)

#: Name in every table and file -> "module:class". Adding a comparison system is one line here.
TABLE: dict[str, str] = {
    "random": "dynmm.baselines.chance:Random",
    "popularity": "dynmm.baselines.popularity:Popularity",
    "recent-popularity-1d": "dynmm.baselines.recent_popularity:RecentPopularity",
    "recent-popularity-7d": "dynmm.baselines.recent_popularity:RecentPopularity",
    "recent-popularity-30d": "dynmm.baselines.recent_popularity:RecentPopularity",
    "item-knn": "dynmm.baselines.item_knn:ItemKNN",
    "online-item-knn": "dynmm.baselines.online_item_knn:OnlineItemKNN",
    "online-mf": "dynmm.baselines.online_mf:OnlineMF",
    "recently-clicked": "dynmm.baselines.recently_clicked:RecentlyClicked",
    "session-knn": "dynmm.baselines.session_knn:SessionKNN",
    "streaming-cooccurrence": "dynmm.baselines.streaming_cooccurrence:StreamingCooccurrence",
    "als": "dynmm.baselines.als:ALS",
    "bpr": "dynmm.baselines.bpr:BPR",
}

#: The systems that read what items are: name -> the modality that is looked at.
CONTENT: dict[str, str] = {"content-knn": "all"} | {f"content-knn-{modality}": modality for modality in MODALITIES}

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


def counts_recent(name: str) -> bool:
    """Whether this is recent popularity, with whatever window."""
    return _RECENT.fullmatch(name) is not None


def content_names(features: Sequence[Features]) -> list[str]:
    """The names in `CONTENT` that these features allow: all together, and where there are several each alone."""
    there = [modality for modality in MODALITIES if any(one.modality == modality for one in features)]
    alone = [f"content-knn-{modality}" for modality in there] if len(there) > 1 else []
    return ["content-knn", *alone] if there else []


def baseline(name: str) -> Baseline:
    """The class behind a name, imported now. Raises ConfigError for a name that is not there."""
    path = TABLE["recent-popularity-1d"] if counts_recent(name) else TABLE.get(name)
    if path is None:
        known = ", ".join((*TABLE, *CONTENT))
        raise ConfigError(f"there is no comparison system {name!r}; there are: {known}")
    module, _, attribute = path.partition(":")
    return cast(Baseline, getattr(importlib.import_module(module), attribute))


def create(name: str, *, features: Sequence[Features] = (), **settings: Any) -> System:
    """A comparison system by name, unfitted. settings: fields of its `settings_type`.

    features: of the items of the data set that it will be fitted to, in that order; for the names in `CONTENT`.
    Raises ConfigError for an unknown name, an unknown key, a value out of range, or features that are missing.
    """
    if name in CONTENT:
        return _on_content(name, features, settings)
    factory = baseline(name)
    if windowed := _RECENT.fullmatch(name):
        settings = {"days": int(windowed[1]), **settings}
    return factory(_settings(name, factory.settings_type, settings))


def _on_content(name: str, features: Sequence[Features], settings: dict[str, Any]) -> System:
    from dynmm.baselines.content_knn import ContentKnn

    chosen = _settings(name, ContentKnn.settings_type, {"only": CONTENT[name], **settings})
    return ContentKnn(features, chosen)


def _settings(name: str, kind: type[_Kind], values: dict[str, Any]) -> _Kind:
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{name}: {place}: {first['msg']} (got {first['input']!r})") from error
