"""How long the joint stage trains: all its default epochs over real data, beside nothing else.

    python benchmarks/aligner_speed.py --data ml-1m --out benchmarks/results/aligner_speed.json

The backbone below is trained for one epoch alone, since what it knows changes nothing of the time. Epochs of the joint
stage are those of the shipped defaults, with their validation. No stage comes from a cache. Wall seconds and seconds of
processor time are told: where they differ by more than the threads explain, the machine was busy with other work.
"""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from dynmm import Dataset
from dynmm.assembly import FitOptions, fit
from dynmm.backbone.settings import BackboneSettings, DataShape, resolve
from dynmm.config import read_config
from dynmm.fusion.pretraining import epochs_after
from dynmm.storage import write_json
from dynmm.testing.folders import data_folders
from dynmm.training.reports import EpochReport


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ml-1m", help="folder, or name of one under DYNMM_DATA")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for folder in data_folders([arguments.data]):
        found = measured(Dataset.load(folder), arguments.set, arguments.device)
        found |= {"threads": arguments.threads, "cores": os.cpu_count(), "torch": torch.__version__}
        print(found)
        if arguments.out is not None:
            write_json(arguments.out, {"date": datetime.date.today().isoformat(), "data": {folder.name: found}})


def measured(data: Dataset, overrides: list[str], device: str) -> dict[str, Any]:
    """Seconds of the joint stage's training."""
    default = resolve(BackboneSettings(), DataShape.of(data)).epochs
    assert default != "auto", "resolved settings decide the epochs"
    alone = ["evidence.variant=off", "rerank=none", "backbone.epochs=1", f"fusion.epochs={epochs_after(default)}"]
    computed: list[float] = []

    def told(_: EpochReport) -> None:
        computed.append(time.process_time())

    with tempfile.TemporaryDirectory() as cache:
        options = FitOptions(device, Path(cache), told)
        fitted = fit(data, read_config(None, [*alone, *overrides]), split="full", options=options)
    epochs = fitted.curves["joint"]
    return {
        "epochs": len(epochs),
        "seconds": sum(report.seconds for report in epochs),
        "seconds_of_an_epoch": sorted(report.seconds for report in epochs),
        "cpu_seconds": computed[len(fitted.curves["backbone"]) + len(epochs) - 1]
        - computed[len(fitted.curves["backbone"]) - 1],
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
