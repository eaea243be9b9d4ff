"""What counts alone hit on first events of people, in the last fifth of the events before a stream.

    python experiments/newcomers.py benchmarks/results/streams-ml-{100k,latest-small}.json

The files say which weights the first fit gave its trends. The data sets are read from DYNMM_DATA; what comes after the
stream begins is not looked at.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from dynmm import Dataset
from dynmm.assembly.evidencing import items_of
from dynmm.evidence.settings import EvidenceSettings
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.streaming import before_stream
from dynmm.testing.folders import data_folders
from dynmm.types import FloatArray

#: Share of the events, the last of them, whose newcomers are asked about.
ASKED = 0.2
DEPTH = 10
#: Trends tie often; those who had more events at all come first.
TIE = 1e-6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    for file in parser.parse_args().files:
        for name, result in json.loads(file.read_text(encoding="utf-8"))["data"].items():
            hits = hit_rates(name, result["adapter"]["evidence"][0])
            (asked,) = {len(found) for found in hits.values()}
            print(f"{name}, {asked} first events")
            for what, found in hits.items():
                print(f"  {what}: {found.mean():.3f}")


def hit_rates(name: str, evidence: dict[str, Any]) -> dict[str, FloatArray]:
    """(Q,) HR@10 of each first event, by what ranks. evidence: of the fit's manifest."""
    (folder,) = data_folders([name])
    data = before_stream(Dataset.load(folder), SplitConfig())
    settings = EvidenceSettings()
    trend, order = items_of(data, settings).trend, data.in_time_order()
    assert trend is not None
    assert data.events.timestamps is not None
    users, items, times = data.events.users[order], data.events.items[order], data.events.timestamps[order]
    _, firsts = np.unique(users, return_index=True)
    found: dict[str, list[float]] = {}
    for row in np.sort(firsts[firsts >= int(len(order) * (1 - ASKED))]).tolist():
        moment = int(times[row])
        before = items[: np.searchsorted(times, moment, side="left")]
        taken = np.log1p(np.bincount(before, minlength=data.n_items))
        said = {days: np.log1p(trend.said(days, moment - 1)[: data.n_items]) for days in settings.trend_days}
        weighed = sum(evidence["weights"].get(f"trend {days}", 0.0) * one for days, one in said.items())
        scores = {"popularity": taken, "the trends with their weights": weighed + TIE * taken}
        scores |= {f"people in {days} days": one + TIE * taken for days, one in said.items()}
        longest = max(said)
        scores[f"log of popularity + log of people in {longest} days"] = taken + said[longest]
        for what, score in scores.items():
            # The target is among those that are as good as it: ties count against what ranks.
            found.setdefault(what, []).append(float((score >= score[items[row]]).sum() <= DEPTH))
    return {what: np.asarray(hits) for what, hits in found.items()}


if __name__ == "__main__":
    main()
