"""One picture of a data set: its long tail, and its activity over time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from dynmm.interactions.dataset import Dataset
from dynmm.interactions.inspection import head_share
from dynmm.storage import write_bytes

_INK, _BLUE, _ORANGE = "#333333", "#2a6f97", "#d1762c"
#: Days per bin, and what a bin is called; the first that gives no more than `_MOST_BINS` is taken.
_BINS = ((1 / 24, "hour"), (1, "day"), (7, "week"), (30.4375, "month"), (91.3125, "quarter"), (365.25, "year"))
_MOST_BINS = 130


def draw(dataset: Dataset, path: Path) -> None:
    """Write a PNG: events per item by rank, and events over time, or history lengths where there is no time.

    Raises StorageError where the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    figure.suptitle(
        f"{dataset.info.name}: {dataset.n_users:,} users, {dataset.n_items:,} items, {len(dataset.events):,} events",
        color=_INK,
    )
    _long_tail(left, dataset)
    if dataset.has_time:
        _activity(right, dataset)
    else:
        _history_lengths(right, dataset)
    for axes in (left, right):
        _plain_numbers(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    write_bytes(path, picture.getvalue())


def _plain_numbers(axes: Any) -> None:
    """1,000 rather than a power of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axis, scale in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
        if scale == "log":
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _long_tail(axes: Any, dataset: Dataset) -> None:
    counts = dataset.item_counts()
    ranked = np.sort(counts[counts > 0])[::-1]
    ranks = np.arange(1, len(ranked) + 1)
    head = -(-len(ranked) // 10)
    axes.loglog(ranks, ranked, color=_BLUE, linewidth=2)
    axes.fill_between(
        ranks[:head], ranked[:head], 0.8, color=_ORANGE, alpha=0.35, linewidth=0, label="the most popular tenth"
    )
    axes.legend(frameon=False)
    axes.set_ylim(bottom=0.8)
    axes.set_xlabel("items by popularity (rank)")
    axes.set_ylabel("events")
    never = dataset.n_items - len(ranked)
    unseen = f"; {never:,} items have none" if never else ""
    axes.set_title(f"Long tail: a tenth of the items has {head_share(counts):.0%} of the events{unseen}", fontsize=10)


def _activity(axes: Any, dataset: Dataset) -> None:
    times = dataset.events.timestamps
    assert times is not None  # the caller has asked `has_time`
    days = times / 86_400_000
    span = float(days.max() - days.min())
    smallest = 1 if dataset.info.time_resolution == "day" else 0
    width, name = next((one for one in _BINS[smallest:] if span / one[0] <= _MOST_BINS), _BINS[-1])
    start = np.floor(days.min() / width) * width
    edges = start + width * np.arange(int((days.max() - start) / width) + 2)
    counts, _ = np.histogram(days, edges)
    moments = (edges * 86_400_000).astype("int64").astype("datetime64[ms]")
    axes.stairs(counts, moments.astype("datetime64[s]").astype(object), color=_BLUE, fill=True, alpha=0.85)
    axes.set_ylabel(f"events per {name}")
    axes.set_xlabel("time (UTC)")
    axes.tick_params(axis="x", rotation=30)
    axes.set_title("Activity over time", fontsize=10)


def _history_lengths(axes: Any, dataset: Dataset) -> None:
    lengths = np.diff(dataset.offsets)
    longest = int(lengths.max())
    edges = np.unique(np.round(np.geomspace(1, longest + 1, 40)).astype(int))
    counts, _ = np.histogram(lengths, edges)
    axes.stairs(counts / np.diff(edges), edges - 0.5, color=_BLUE, fill=True, alpha=0.85)
    axes.set_xscale("log")
    axes.set_xlim(max(0.8, 0.8 * lengths.min()), 1.25 * longest)
    axes.axvline(np.median(lengths), color=_ORANGE, linewidth=2, label=f"median {np.median(lengths):,.0f}")
    axes.legend(frameon=False)
    axes.set_xlabel("events of a user")
    axes.set_ylabel("users, per length")
    axes.set_title("Lengths of histories (there are no timestamps to show activity by)", fontsize=10)
