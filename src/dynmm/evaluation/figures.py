"""Figures of an evaluation, as SVG text or PNG bytes. Colours stay apart for colour-blind eyes and in print.

All take the JSON of an evaluation or plain arrays, so that a saved result draws as well as a fresh one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dynmm.evaluation.curves import RANDOM, STRONGEST
from dynmm.evaluation.ladder import order
from dynmm.types import IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["svg", "png"]

#: Okabe & Ito (2008), which the common forms of colour blindness tell apart; black first, for the whole.
PALETTE = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
_MARKERS = "osD^vPX*"

#: With more windows than this they are too short to be drawn.
_MOST_WINDOWS = 60

#: Lines of a robustness figure: what was done to the modality.
_STYLES_OF_KINDS = {"drop": ("-", "o"), "noise": (":", "^"), "wrong": ("--", "s")}
_KINDS_IN_WORDS = {"drop": "missing", "noise": "noise", "wrong": "another item's"}

_STYLE: Any = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "dynmm",
}


@dataclass(frozen=True)
class Curve:
    """One line of a figure. x, y: as long. label: in the legend."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


def accuracy(result: Mapping[str, Any], *, metric: str = "ndcg@10", form: Format = "svg") -> bytes:
    """Every system's mean as a dot with its 95 % interval; rungs of the ladder first, then by value."""
    systems = result["systems"]
    rungs, variants, others = order(list(systems))
    others = sorted(others, key=lambda name: -systems[name][metric]["mean"])
    names = [*rungs[::-1], *variants, *others]
    with _drawing(7.0, 0.9 + 0.34 * len(names)) as (figure, axes):
        for row, name in enumerate(names):
            cell = systems[name][metric]
            colour = PALETTE[0] if name in rungs else PALETTE[1]
            if None not in cell["ci95"]:
                axes.plot(cell["ci95"], [row, row], color=colour, linewidth=2.2, solid_capstyle="round")
            axes.plot([cell["mean"]], [row], "o" if name in rungs else "s", color=colour, markersize=5)
        axes.set_yticks(range(len(names)), [_plain(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left=0)
        axes.set_xlabel(f"{_metric(metric)}, mean and 95 % interval over users")
        axes.set_title(f"Accuracy, protocol {_plain(result['protocol'])}", loc="left")
        return _bytes(figure, form)


def long_tail(item_counts: IntArray, *, noun: str = "item", form: Format = "svg") -> bytes:
    """Events of each item by rank, on two logarithmic axes. item_counts: (I,). Items without events are told."""
    counts = np.sort(item_counts[item_counts > 0])[::-1]
    without = len(item_counts) - len(counts)
    with _drawing(5.2, 3.2) as (figure, axes):
        ranks = np.arange(1, len(counts) + 1)
        axes.plot(ranks, counts, color=PALETTE[1], linewidth=1.6)
        axes.fill_between(ranks, counts, 1e-9, color=PALETTE[1], alpha=0.12)
        if len(counts):
            axes.set(xscale="log", yscale="log", ylim=(max(0.8, counts.min() * 0.8), counts.max() * 1.4))
            half = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2)) + 1
            axes.axvline(half, color=PALETTE[2], linewidth=1, linestyle="--")
            told = f"half of all events:\n{half:,} of {len(counts):,}"
            axes.annotate(told, (half, counts.max()), xytext=(4, -4), textcoords="offset points", va="top", fontsize=8)
        ending = f"; {without:,} without any" if without else ""
        axes.set_xlabel(_plain(f"{noun}, by number of events{ending}"))
        axes.set_ylabel("events")
        axes.set_title("The long tail", loc="left")
        return _bytes(figure, form)


def training_curve(curves: Sequence[Curve], *, metric: str = "ndcg@10", form: Format = "svg") -> bytes:
    """Validation metric after each epoch, one line per run, the best epoch marked."""
    from matplotlib.ticker import MaxNLocator

    with _drawing(5.2, 3.2) as (figure, axes):
        for number, curve in enumerate(curves):
            colour = PALETTE[(number + 1) % len(PALETTE)]
            axes.plot(curve.x, curve.y, color=colour, linewidth=1.5, label=_plain(curve.label))
            if len(curve.y):
                best = int(np.argmax(curve.y))
                marker = _MARKERS[number % len(_MARKERS)]
                axes.plot([curve.x[best]], [curve.y[best]], marker, color=colour, markersize=6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch (marked: the best)")
        axes.set_ylabel(f"{_metric(metric)} on validation")
        axes.set_title("Training", loc="left")
        if len(curves) > 1:
            axes.legend(fontsize=8)
        return _bytes(figure, form)


def stream_curves(result: Mapping[str, Any], *, metric: str = "hit@10", form: Format = "svg") -> bytes:
    """The metric along the stream with 95 % bands, window by window, or in parts with equally many events where there
    are many windows. result: of a stream. With many systems the best ones alone are drawn, ours first."""
    parts = result["windows"] if len(result["windows"]) <= _MOST_WINDOWS else result["blocks"]
    middles: Any = np.array([(row["start"] + row["end"]) // 2 for row in parts], dtype="datetime64[ms]")
    rungs, variants, others = order(list(result["systems"]))
    others = sorted(others, key=lambda name: -result["systems"][name][metric]["mean"])
    names = [*rungs[::-1], *variants, *others]
    if len(names) > len(PALETTE):
        names = [*rungs[:-3:-1], *variants, *others][: len(PALETTE)]
    with _drawing(7.4, 3.8) as (figure, axes):
        for number, name in enumerate(names):
            cells = [row["systems"][name][metric] for row in parts]
            colour = PALETTE[number % len(PALETTE)]
            means, marker = [cell["mean"] for cell in cells], _MARKERS[number % len(_MARKERS)]
            axes.plot(middles, means, marker, linestyle="-", color=colour, markersize=3.5, label=_plain(name))
            low, high = (np.array([cell["band"][side] for cell in cells], dtype=float) for side in (0, 1))
            axes.fill_between(middles, low, high, color=colour, alpha=0.10, linewidth=0)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"{_metric(metric)}, with 95 % bands")
        left = len(result["systems"]) - len(names)
        told = f", {left} others not drawn" if left else ""
        axes.set_title(f"Along the stream ({_plain(result['protocol'])}{told})", loc="left")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        figure.autofmt_xdate(rotation=30)
        return _bytes(figure, form)


def robustness(result: Mapping[str, Any], *, metric: str = "hit@10", form: Format = "svg") -> bytes:
    """Points lost by the share of items hit: a colour for each modality, a line style for missing and each way of
    being wrong, with 95 % bands. result: JSON of `robustness.Robustness`. A tick at 100 % is the loss allowed."""
    losses = {one["condition"]: one for one in result["losses"] if one["metric"] == metric}
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in result["conditions"]:
        if one["kind"] != "full":
            groups.setdefault(("+".join(one["modalities"]), one["kind"]), []).append(one)
    colours = {name: PALETTE[1 + n % (len(PALETTE) - 1)] for n, name in enumerate(dict.fromkeys(n for n, _ in groups))}
    with _drawing(7.4, 3.8) as (figure, axes):
        axes.axhline(0, color=PALETTE[0], linewidth=0.8)
        for (modality, kind), members in groups.items():
            told = [losses[one["name"]] for one in sorted(members, key=lambda one: float(one["rate"]))]
            rates = np.array([0.0, *sorted(100 * float(one["rate"]) for one in members)])
            style, marker = _STYLES_OF_KINDS[kind]
            points = [0.0, *(one["points"] for one in told)]
            label, colour = f"{modality} {_KINDS_IN_WORDS[kind]}", colours[modality]
            axes.plot(rates, points, linestyle=style, marker=marker, markersize=4, color=colour, label=label)
            low, high = (np.array([0.0, *(one["ci95"][side] for one in told)], dtype=float) for side in (0, 1))
            axes.fill_between(rates, low, high, color=colour, alpha=0.08, linewidth=0)
        for claim in (one for one in result["claims"] if one["metric"] == metric):
            colour = colours["+".join(claim["modalities"])]
            axes.plot([100], [claim["margin"]], "_", color=colour, markersize=16, markeredgewidth=2)
        axes.set_xlabel("items hit, % of those that have the modality")
        axes.set_ylabel(f"{_metric(metric)} lost, points")
        axes.set_title(f"Missing and wrong modalities ({_plain(result['protocol'])})", loc="left")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        return _bytes(figure, form)


def faithfulness_curves(result: Mapping[str, Any], *, form: Format = "svg") -> bytes:
    """Score lost by the share of the evidence removed, strongest first and in random order, with 95 % bands.

    result: JSON of `faithfulness.Faithfulness`.
    """
    curves = result["curves"]
    shares = [100 * share for share in curves["shares"]]
    with _drawing(5.2, 3.2) as (figure, axes):
        for number, name in enumerate((STRONGEST, RANDOM)):
            points = curves["orders"][name]
            colour, marker = PALETTE[(number + 1) % len(PALETTE)], _MARKERS[number % len(_MARKERS)]
            means = [-point["mean"] for point in points]
            axes.plot(shares, means, marker, linestyle="-", color=colour, markersize=4, label=_plain(name))
            low, high = (np.array([-point["ci95"][side] for point in points], dtype=float) for side in (1, 0))
            axes.fill_between(shares, low, high, color=colour, alpha=0.10, linewidth=0)
        axes.axhline(0, color=PALETTE[0], linewidth=0.8)
        axes.set_xlabel("evidence removed, % of the facts behind a score")
        axes.set_ylabel("change of the score")
        axes.set_title("What the score loses with its evidence", loc="left")
        axes.legend(fontsize=8)
        return _bytes(figure, form)


@contextmanager
def _drawing(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure without a window and without touching matplotlib's global state. Sizes in inches."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.add_subplot()


def _bytes(figure: Figure, form: Format) -> bytes:
    """The same figure gives the same bytes: no date is written."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    figure.savefig(buffer, format=form, dpi=140, metadata=metadata)
    return buffer.getvalue()


def _plain(text: str) -> str:
    """Names come from outside; a dollar sign would start a formula."""
    return text.replace("$", r"\$")


def _metric(name: str) -> str:
    return {"hit": "Hit", "recall": "Recall", "ndcg": "NDCG", "mrr": "MRR"}.get(name.split("@")[0], name) + (
        f"@{name.split('@')[1]}" if "@" in name else ""
    )
