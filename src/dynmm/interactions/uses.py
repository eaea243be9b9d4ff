"""What a data set can be used for: every protocol is tried, and a refusal is quoted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynmm.errors import DataError
from dynmm.interactions.candidates import draw_candidates
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split, SplitConfig, make_split
from dynmm.interactions.splits.requirements import need_time


@dataclass(frozen=True)
class Use:
    """One use: whether the data supports it, and what it yields or why not."""

    name: str
    possible: bool
    detail: str


def uses_of(dataset: Dataset) -> tuple[Use, ...]:
    """Every protocol and what else depends on time, in the order in which a reader meets them."""

    def split(**config: Any) -> Callable[[], str]:
        return lambda: _yields(make_split(dataset, SplitConfig(**config), seed=0))

    tries: dict[str, Callable[[], str]] = {
        "fit on everything (none)": split(name="none"),
        "full": split(name="full"),
        "sampled": lambda: _sampled(dataset),
        "holdout by user": split(name="holdout", by="user"),
        "holdout by time": split(name="holdout", by="time"),
        "holdout by the given split": split(name="holdout", by="given"),
        "cold": split(name="cold"),
        "stream": split(name="stream"),
        "recent popularity": lambda: _recency(dataset),
    }
    return tuple(_attempt(name, attempt) for name, attempt in tries.items())


def _attempt(name: str, attempt: Callable[[], str]) -> Use:
    try:
        return Use(name, True, attempt())
    except DataError as reason:
        return Use(name, False, str(reason))


def _yields(split: Split) -> str:
    parts = [f"{split.counts['train events']:,} training events"]
    if split.stream is not None:
        parts.append(f"{len(split.stream):,} events to replay")
    if split.test is not None:
        parts.append(f"{len(split.test):,} test cases")
    if split.variant == "hidden" and split.cold_items is not None:
        parts.append(f"{int(split.cold_items.sum()):,} items hidden")
    return "; ".join([", ".join(parts), *split.notes])


def _sampled(dataset: Dataset) -> str:
    split = make_split(dataset, SplitConfig(name="full"), seed=0)
    candidates = draw_candidates(split, seed=0)
    return f"{len(candidates):,} test cases with {candidates.negatives.shape[1]} negatives"


def _recency(dataset: Dataset) -> str:
    need_time(dataset, "popularity of the last days")
    times = dataset.events.timestamps
    assert times is not None
    return f"{(int(times.max()) - int(times.min())) / 86_400_000:,.0f} days of events"
