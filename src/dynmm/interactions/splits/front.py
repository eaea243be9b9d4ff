"""The one way to a split: k-core, then the kind that the configuration names."""

from __future__ import annotations

import logging
from dataclasses import replace

from dynmm.errors import ConfigError
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import SPLIT_NAMES
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


def make_split(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    """Hold out as `config` says. The same data, config and seed give the same split.

    Every event is in exactly one part of `Split.parts`, and what is in none is counted. Raises
    UnsupportedByData with the reason where the data cannot support it, EmptyDataError where the k-core is empty.
    """
    k = config.k_core
    if k == "auto":
        k = FULL_K_CORE if config.name == "full" else 0
    core, report = k_core(dataset, k)
    split = _apply(core, config, seed)
    if report.events or report.items:
        split = replace(split, notes=(str(report), *split.notes))
    log.info("split %s: %s", split.name, split.description)
    return split


def _apply(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    if config.name == "none":
        return everything(dataset, config, seed)
    if config.name == "full":
        return full(dataset)
    if config.name == "holdout":
        return holdout(dataset, config, seed)
    if config.name == "cold":
        return cold(dataset, config, seed)
    if config.name == "stream":
        return stream(dataset, config)
    raise ConfigError(f"split {config.name!r} is unknown; use one of {', '.join(SPLIT_NAMES)}")
