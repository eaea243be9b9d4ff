"""What counts alone hit on first events of people, over a nested stream: weights as learned, and some that are not.

    python experiments/newcomers.py --data ml-100k --data ml-latest-small --data amazon18-office
    python experiments/newcomers.py --data ml-latest-small --window 1d

The nested stream is cut out of what comes before the real one, and the weights are learned before the nested one. What
the latent knows of newcomers, the popularity at the fit, is stood for by the counts at that moment; its share against
the facts is what the rows differ in. With a window its counts stand still within it, and all that people do in their
first one is asked. Means are over events, and averaged over people. The data sets are read from DYNMM_DATA.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from dynmm import Dataset
from dynmm.assembly.evidencing import items_of, newcomers_of
from dynmm.evaluation.scores import Users
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="folder, or name of one under DYNMM_DATA")
    parser.add_argument("--window", help="length of a window, as 1h; without, each event knows of all before it")
    parser.add_argument("--most", type=int, default=1_000, help="first events, taken evenly")
    parser.add_argument("--days", type=int, nargs="+", help="windows of the trend; by default those of a fit")
    arguments = parser.parse_args()
    days = {} if arguments.days is None else {"trend_days": tuple(arguments.days)}
    for folder in data_folders(arguments.data):
        rows(folder, arguments.window, EvidenceSettings.model_validate(days), arguments.most)


def rows(folder: Path, window: str | None, settings: EvidenceSettings, most: int) -> None:
    """Print HR@10 / NDCG@10 of each way to rank, over events, and HR@10 averaged over people."""
    data = before_stream(Dataset.load(folder), SplitConfig())
    known, times = before_stream(data, SplitConfig()), data.events.timestamps
    assert times is not None
    assert known.events.timestamps is not None
    later = times > known.events.timestamps.max()
    asked = each_event(data, later, most, first=True, window=window)
    print(f"{folder.name}, {len(asked)} first events of {len(np.unique(asked.users))} people")
    ways: dict[str, tuple[float, Newcomers]] = {
        "popularity at the fit": (1.0, Newcomers()),
        "popularity now": (0.0, Newcomers(1.0)),
        **{f"people in {days} days": (0.0, Newcomers(0.0, ((days, 1.0),))) for days in settings.trend_days},
    }
    for share in SHARES:
        learned = newcomers_of(known, settings, 0, latent=share, window=window)
        told = ", ".join(f"{days} days {weight:.2f}" for days, weight in learned.trends)
        ways[f"learned, the latent's share {share:g} (taken {learned.taken:.2f}, {told})"] = (1.0, learned)
    ranks = _ranks(data.keep(~later), data.n_items, asked, settings, ways)
    people = Users(asked.users, "user")
    for what, rank in ranks.items():
        hits, gains = rank <= 10, np.where(rank <= 10, 1 / np.log2(1 + rank), 0)
        of_each = people.mean(hits.astype(np.float64))
        print(f"  {what}: {hits.mean():.4f} / {gains.mean():.4f}, averaged over people {of_each:.4f}")


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
