"""What counts alone hit on first events of people, over a nested stream: weights as learned, and some that are not.

    python experiments/newcomers.py --data ml-100k --data ml-latest-small --data amazon18-office

The nested stream is cut out of what comes before the real one, and the weights are learned before the nested one. What
the latent knows of newcomers, the popularity at the fit, is stood for by the counts at that moment; its share against
the facts is what the rows differ in. The data sets are read from DYNMM_DATA.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from dynmm import Dataset
from dynmm.assembly.evidencing import items_of, newcomers_of
from dynmm.evidence.newcomers import Newcomers
from dynmm.evidence.passing import moments
from dynmm.evidence.settings import EvidenceSettings
from dynmm.interactions.cases import Cases
from dynmm.interactions.splits.eventwise import each_event
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.streaming import before_stream
from dynmm.testing.folders import data_folders
from dynmm.types import FloatArray

#: Shares of the latent under which weights are learned; the shipped one is among them.
SHARES = (1.0, 0.3, 0.1, 0.01)
MOST = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="folder, or name of one under DYNMM_DATA")
    for folder in data_folders(parser.parse_args().data):
        rows(folder)


def rows(folder: Path) -> None:
    """Print HR@10 / NDCG@10 of each way to rank."""
    data, settings = before_stream(Dataset.load(folder), SplitConfig()), EvidenceSettings()
    known, times = before_stream(data, SplitConfig()), data.events.timestamps
    assert times is not None
    assert known.events.timestamps is not None
    later = times > known.events.timestamps.max()
    asked = each_event(data, later, MOST, first=True)
    print(f"{folder.name}, {len(asked)} first events")
    ways: dict[str, tuple[float, Newcomers]] = {
        "popularity at the fit": (1.0, Newcomers()),
        "popularity now": (0.0, Newcomers(1.0)),
        **{f"people in {days} days": (0.0, Newcomers(0.0, ((days, 1.0),))) for days in settings.trend_days},
    }
    for share in SHARES:
        learned = newcomers_of(known, settings, 0, latent=share)
        told = ", ".join(f"{days} days {weight:.2f}" for days, weight in learned.trends)
        ways[f"learned, the latent's share {share:g} (taken {learned.taken:.2f}, {told})"] = (1.0, learned)
    ranks = _ranks(data.keep(~later), data.n_items, asked, settings, ways)
    for what, rank in ranks.items():
        gains = np.where(rank <= 10, 1 / np.log2(1 + rank), 0)
        print(f"  {what}: {(rank <= 10).mean():.3f} / {gains.mean():.3f}")


def _ranks(
    known: Dataset, n_items: int, asked: Cases, settings: EvidenceSettings, ways: dict[str, tuple[float, Newcomers]]
) -> dict[str, FloatArray]:
    """(Q,) the rank of each answer, by what ranks; the answer stands behind its equals."""
    counts, at_the_fit = items_of(known, settings), np.log1p(known.item_counts())
    found: dict[str, list[float]] = {what: [] for what in ways}
    for case, moment in enumerate(moments(counts, asked)):
        answer = int(asked.targets(case)[0])
        for what, (known_so_far, newcomers) in ways.items():
            scores = known_so_far * at_the_fit + newcomers.total(counts, n_items, moment)
            found[what].append(float((scores >= scores[answer]).sum()))
    return {what: np.asarray(ranks) for what, ranks in found.items()}


if __name__ == "__main__":
    main()
