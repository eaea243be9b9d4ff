"""The one way to a split: k-core, then the kind that the configuration names."""

from __future__ import annotations

import logging
from dataclasses import replace

from dynmm.errors import ConfigError
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import SPLIT_NAMES, SplitName
from dynmm.interactions.kcore import k_core
from dynmm.interactions.splits.cold import cold
from dynmm.interactions.splits.everything import everything
from dynmm.interactions.splits.holdout import holdout
from dynmm.interactions.splits.leave_last import full
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.split import Split
from dynmm.interactions.splits.streaming import stream

log = logging.getLogger(__name__)

#: `k_core: auto` for the protocol of the public leaderboards.
FULL_K_CORE = 5

#: Draws the hidden items of `cold`: one draw for everybody, so that runs of several seeds have the same cases.
COLD_SEED = 0

#: The kinds that read each option; `name` and `k_core` belong to all.
_READ_BY: dict[str, tuple[SplitName, ...]] = {
    "by": ("holdout",),
    "test_share": ("holdout",),
    "validation_share": ("holdout", "stream"),
    "min_events": ("holdout",),
    "stream_train_share": ("stream",),
    "stream_window": ("stream",),
    "cold_below": ("cold",),
    "cold_min_targets": ("cold",),
    "cold_hidden_share": ("cold",),
    "selection_share": ("none", "holdout", "cold"),
}


def make_split(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    """Hold out as `config` says. The same data, config and seed give the same split.

    Every event is in exactly one part of `Split.parts`, and what is in none is counted. Raises
    UnsupportedByData with the reason where the data cannot support it, EmptyDataError where the k-core is empty,
    ConfigError for an option that this kind of split does not read.
    """
    _refuse_unread(config)
    k = config.k_core
    if k == "auto":
        k = FULL_K_CORE if config.name == "full" else 0
    core, report = k_core(dataset, k)
    split = _apply(core, config, seed)
    if report.events or report.items:
        split = replace(split, notes=(str(report), *split.notes))
    log.info("split %s: %s", split.name, split.description)
    return split


def _refuse_unread(config: SplitConfig) -> None:
    for option, kinds in _READ_BY.items():
        changed = getattr(config, option) != SplitConfig.model_fields[option].default
        if changed and config.name not in kinds:
            raise ConfigError(
                f"split.{option} is for --split {' and '.join(kinds)}, and this is {config.name!r}; leave it out"
            )


def _apply(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    if config.name == "none":
        return everything(dataset, config, seed)
    if config.name == "full":
        return full(dataset)
    if config.name == "holdout":
        return holdout(dataset, config, seed)
    if config.name == "cold":
        return cold(dataset, config, COLD_SEED)
    if config.name == "stream":
        return stream(dataset, config)
    raise ConfigError(f"split {config.name!r} is unknown; use one of {', '.join(SPLIT_NAMES)}")
