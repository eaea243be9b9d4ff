"""What a user can look at to see whether the joint stage works: gate, retrieval across modalities, reconstruction."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dynmm.fusion.content import CF
from dynmm.fusion.joint import Joint

#: Items among which one modality has to find the other, and how near the top.
_SAMPLE, _K = 1000, 10

#: Cosines that are nearer to each other than this are equal but for rounding.
_TIE = 1e-6


def diagnose(joint: Joint) -> dict[str, Any]:
    """Numbers for the manifest and the report.

    items: how many have each modality. gate: mean weight of each modality over the items that have it.
    retrieval: share of items, of a sample of at most 1,000, whose own vector of the second modality is among
    the 10 nearest to that of the first; of several that are equally near, the expected share. reconstruction: share of
    each modality's variance that the decoder does not give back from the latent. content_to_cf: share of the variance
    of the collaborative vectors that the regressor gives back on items held out from it. explains: what each content
    modality alone, and all together, say of items that they were not fitted to, see `trust.Explained`. guessed: share
    of the latents of items that nobody took.
    """
    found, explained = joint.parts(), joint.joined.explained
    return {
        "modalities": list(found.names),
        "items": {name: int(found.present[:, m].sum()) for m, name in enumerate(found.names)},
        "gate": {name: _mean(found.weights[:, m], found.present[:, m]) for m, name in enumerate(found.names)},
        "retrieval": _retrieval(joint, found.names, found.present),
        "reconstruction": _lost(joint, found.present),
        "content_to_cf": {"explained": joint.joined.regressor.explained, "penalty": joint.joined.regressor.penalty},
        "explains": dict(zip(found.names[1:], explained.each, strict=True)) | {"together": explained.together},
        "guessed": joint.joined.guessed,
    }


def item_gate(joint: Joint, item: int) -> dict[str, float]:
    """The gate's weight of each modality that one dense item has, or that was guessed for it; they sum to 1.

    Of an item that nobody took it weighs what the network makes; what regression guesses beside it is made from all.
    """
    found = joint.parts()
    counts = found.present[item] | (found.weights[item] > 0)
    return {name: float(found.weights[item, m]) for m, name in enumerate(found.names) if bool(counts[m])}


def _mean(values: Tensor, present: Tensor) -> float | None:
    return float(values[present].mean()) if present.any() else None


def _retrieval(joint: Joint, names: tuple[str, ...], present: Tensor) -> dict[str, Any]:
    projected = joint.projected()
    table: dict[str, Any] = {}
    for m, one in enumerate(names):
        for n, other in enumerate(names):
            rows = (present[:, m] & present[:, n]).nonzero().flatten()
            if m == n or len(rows) < 2:
                continue
            # Evenly spread over the items: the same sample every time.
            some = rows[:: max(1, -(-len(rows) // _SAMPLE))]
            scores = projected[m][some] @ projected[n][some].t()
            beyond = scores - scores.diagonal()[:, None]
            above, tied = (beyond > _TIE).sum(1), (beyond.abs() <= _TIE).sum(1)
            # Shuffled, each of those that are tied stands at each of their places as often.
            share = float(((_K - above) / tied).clamp(0, 1).mean())
            table[f"{one} to {other}"] = {"recall@10": share, "items": len(some), "chance": min(1.0, _K / len(some))}
    return table


def _lost(joint: Joint, present: Tensor) -> dict[str, float | None]:
    lost: dict[str, float | None] = {CF: None}
    for m, (name, guess) in enumerate(zip(joint.content.names, joint.decoded()[1:], strict=True), start=1):
        rows, truth = present[:, m], joint.content.vectors[m - 1]
        spread = float(truth[rows].var(0, correction=0).sum()) if rows.any() else 0.0
        if spread > 0:
            lost[name] = float((guess[rows] - truth[rows]).square().sum(1).mean()) / spread
    return {name: value for name, value in lost.items() if value is not None}


def as_lines(diagnosis: dict[str, Any]) -> list[str]:
    """The same in words, for the command line."""
    weights = ", ".join(f"{name} {value:.2f}" for name, value in diagnosis["gate"].items() if value is not None)
    lines = [f"gate weights, mean over the items that have it: {weights}"]
    for pair, cell in diagnosis["retrieval"].items():
        share, chance = f"{cell['recall@10']:.0%}", f"{cell['chance']:.0%}"
        lines.append(f"{pair}: {share} of {cell['items']} items found in the first 10 ({chance} by chance)")
    for name, value in diagnosis["reconstruction"].items():
        lost = f"{value:.0%}" if value < 1 else "all"
        lines.append(f"{name}: {lost} of its variance is not given back from the latent")
    for name, share in diagnosis["explains"].items():
        if share is not None:
            lines.append(f"{name}: says {max(0.0, share):.0%} of where an item stands that it was not fitted to")
    return lines
