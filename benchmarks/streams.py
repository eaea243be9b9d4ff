"""Streams: the last 30 % of a data set replayed, over several seeds, beside every comparison system.

    python benchmarks/streams.py --data ml-100k --data amazon18-office --seeds 0 1 2 --part test --out streams.json

`--part nested` is the default, and what anything may be chosen by: the stream is cut out of the first 70 % of the data,
and what comes after is not looked at. `--part test` opens the real stream; each opening gets a number and a line in
docs/experiment-log.md. Ours is fitted anew with each seed, and so is the backbone that is retrained; the other
comparison systems know no seed. The ratio to the best comparison has an interval over users, whose events are
resampled together; `share` says what each part of ours adds. `left_out` names the comparisons that were not measured
and that "the best" therefore says nothing of.
A replay of one system with one seed takes minutes: with `--keep FOLDER` each is kept there when it is done, and a
broken-off run goes on. What is kept knows data, seed, configuration and fit, and not the code: give each version of
the code a folder of its own.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dynmm import Dataset, Recommender, baselines
from dynmm.assembly import (
    FitOptions,
    Frozen,
    alone,
    fit,
    frozen_sha256,
    known_events,
    lower_rungs,
    retrained_backbone,
    with_adapter,
)
from dynmm.config import read_config
from dynmm.evaluation.ladder import FROZEN, STATIC, WHOLE, ladder
from dynmm.evaluation.prequential import Replayed
from dynmm.evaluation.replay import Mode, Stream
from dynmm.evaluation.scores import Users
from dynmm.evaluation.streams import run_stream
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.streaming import before_stream
from dynmm.interactions.windows import usual_window
from dynmm.measurement import RETRAINED, RETRAINED_DAYS, comparison_names
from dynmm.storage import write_json
from dynmm.system import System
from dynmm.testing.folders import data_folders
from dynmm.types import FloatArray

DATA_SETS = ("ml-100k", "ml-latest-small", "amazon18-office")
RESAMPLES = 1_000

#: What replays a system.
Through = Callable[[], Replayed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", help="folder, or name of one under DYNMM_DATA; repeatable")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--part", choices=["nested", "test"], default="nested")
    parser.add_argument("--mode", choices=["event", "window"], default="event")
    parser.add_argument("--window", help="its length, of the adapter's windows too; 1h, or 1d where times are days")
    parser.add_argument("--system", action="append", help="comparison systems; by default all that the data allows")
    parser.add_argument("--ladder", action="store_true", help="replay the lower rungs of ours, too")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one override; repeatable")
    parser.add_argument("--fit-only", action="store_true", help="fill the stage cache and measure nothing")
    parser.add_argument("--keep", type=Path, help="folder of replays that are done, to go on from")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = {}
    for folder in data_folders(arguments.data or DATA_SETS):
        data = Dataset.load(folder)
        if arguments.part == "nested":
            data = before_stream(data, SplitConfig())
        runs = [_fit(data, arguments.set, seed) for seed in arguments.seeds]
        if not arguments.fit_only:
            results[folder.name] = _measure(runs, arguments)
    if arguments.out is not None and results:
        facts = {"date": datetime.date.today().isoformat(), "torch": torch.__version__, "part": arguments.part}
        write_json(
            arguments.out,
            facts | {"seeds": arguments.seeds, "set": arguments.set, "window": arguments.window, "data": results},
        )


def _fit(data: Dataset, assignments: Sequence[str], seed: int) -> Recommender:
    with tqdm(desc=f"{data.info.name} seed {seed}", bar_format="{desc} {elapsed}") as bar:
        options = FitOptions(on_stage=lambda stage: bar.set_description(f"{data.info.name} seed {seed}: {stage}"))
        return fit(data, read_config(None, assignments), split="stream", seed=seed, options=options).recommender


def _measure(runs: Sequence[Recommender], arguments: argparse.Namespace) -> dict[str, Any]:
    split = runs[0].split
    assert split is not None
    assert split.stream is not None
    mode: Mode = arguments.mode
    base = known_events(split)
    window = arguments.window or usual_window(base)
    stream = Stream.of(base, split.stream, mode=mode, window=window)
    lineup: dict[str, Iterator[System]] = {
        WHOLE: (with_adapter(run, window) for run in runs),
        STATIC: (alone(run) for run in runs),
        FROZEN: (Frozen(alone(run)) for run in runs),
    }
    if arguments.ladder:
        for rung in lower_rungs(runs[0])[0]:
            lineup[rung] = _rungs(runs, rung)
    names = arguments.system or comparison_names(base, stream=True)
    for name in names:
        lineup[name] = _retrained(runs) if name == RETRAINED else _fitted(name, base)
    sha256 = runs[0].facts["data"]["sha256"]
    length = "" if arguments.window is None else f"-{arguments.window}"
    what = f"{sha256}/{mode}{length}/{arguments.part}/{arguments.set}"
    kept = None if arguments.keep is None else partial(_kept, arguments.keep, what, runs, _seedless(names))
    with tqdm(desc=split.source.info.name, unit="event") as bar:

        def told(name: str, _: int, done: int, total: int) -> None:
            bar.set_description(name)
            bar.total, bar.n = total, done
            bar.refresh()

        outcome = run_stream(
            stream, lineup, data_sha256=sha256, retention=split.validation, progress=told, replaying=kept
        )
    result = outcome.to_json()
    del result["windows"]  # thousands of them; the blocks hold the curves
    result["over_best"] = _over_best(outcome.replays, stream, names)
    result["left_out"] = left_out(base, names)
    result["adapter"] = _adapter_facts(runs, result)
    print(f"\n{split.source.info.name}, stream/{mode}, {len(runs)} seeds, {len(stream.events):,} events")
    print(ladder(result).to_text())
    for metric, one in result["over_best"].items():
        print(f"{metric}: {one['best']} is the best comparison; dynmm is {one['ratio']:.3f} {one['ci95']} of it")
    if result["left_out"]:
        print(f"not measured, so the best of them may be another: {', '.join(result['left_out'])}")
    return result


def left_out(base: Dataset, names: Sequence[str]) -> list[str]:
    """The comparisons that the data allows and that were not measured: a ratio to the best says nothing of them."""
    return [name for name in comparison_names(base, stream=True) if name not in names]


def _seedless(names: Sequence[str]) -> list[str]:
    """The comparisons that are fitted once, whatever the seeds of the runs."""
    return [name for name in names if name != RETRAINED]


def _retrained(runs: Sequence[Recommender]) -> Iterator[System]:
    """Each run's own backbone."""
    for run in runs:
        assert run.split is not None, "a run that was fitted here has its split"
        yield retrained_backbone(run, run.split, RETRAINED, RETRAINED_DAYS)


def _rungs(runs: Sequence[Recommender], rung: str) -> Iterator[System]:
    for run in runs:
        yield lower_rungs(run)[0][rung]()


def _fitted(name: str, base: Dataset) -> Iterator[System]:
    system = baselines.create(name)
    system.fit(base)
    yield system


def _kept(
    folder: Path, what: str, runs: Sequence[Recommender], names: Sequence[str], name: str, number: int, through: Through
) -> Replayed:
    """The replay of one system, from the folder where it is there, else put there. names: of systems without a seed."""
    fit = "" if name in names else f"{runs[number].facts['seeds'][0]}/{frozen_sha256(runs[number])}"
    digest = hashlib.sha256(f"{what}/{name}/{fit}".encode()).hexdigest()
    path = folder / f"{name.replace('/', '-')}-{digest[:12]}.npz"
    if not path.exists():
        _write(through(), path)
    return _read(path)


def _write(one: Replayed, path: Path) -> None:
    arrays: dict[str, Any] = {f"values {name}": values for name, values in one.values.items()}
    if one.retention is not None:
        arrays |= {"retention before": one.retention[0], "retention after": one.retention[1]}
    arrays["effect"] = np.array(one.effect_seconds)
    costs = [one.update_seconds, one.rank_seconds, *(np.nan if mb is None else mb for mb in one.memory_mb)]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays, costs=np.array(costs))
    part.replace(path)


def _read(path: Path) -> Replayed:
    with np.load(path) as kept:
        update, rank, before, after = (float(one) for one in kept["costs"])
        memory = tuple(None if np.isnan(mb) else mb for mb in (before, after))
        values = {name.removeprefix("values "): kept[name] for name in kept.files if name.startswith("values ")}
        old = (kept["retention before"], kept["retention after"]) if "retention before" in kept.files else None
        return Replayed(values, update, rank, kept["effect"].tolist(), memory, old)  # type: ignore[arg-type]


def _mean(replays: Sequence[Replayed], metric: str) -> FloatArray:
    return np.asarray(np.mean([one.values[metric] for one in replays], axis=0))


def _over_best(
    replays: Mapping[str, Sequence[Replayed]], stream: Stream, names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Ours over the best comparison, over events and averaged over users, with intervals of the ratio over users."""
    found = {}
    users = stream.events.users
    for metric in ("hit@10", "ndcg@10"):
        for by in ("events", "users"):
            group = Users(users, "user") if by == "users" else Users(users)
            means = {name: group.mean(_mean(replays[name], metric)) for name in names}
            best = max(means, key=lambda name: means[name])
            ours, theirs = _mean(replays[WHOLE], metric), _mean(replays[best], metric)
            static = _mean(replays[STATIC], metric)
            found[f"{metric} over {by}"] = {
                "best": best,
                "best_mean": means[best],
                "ratio": group.mean(ours) / means[best],
                "ci95": _ratio_interval(ours, theirs, users, by),
                "static_ratio": group.mean(static) / means[best],
                "adapter_share": group.mean(ours) / group.mean(static) - 1.0,
                "adapter_ci95": [round(bound - 1.0, 4) for bound in _ratio_interval(ours, static, users, by)],
            }
    return found


def _ratio_interval(ours: FloatArray, theirs: FloatArray, users: Any, by: str) -> list[float]:
    """95 % of the ratio of means, users resampled with all of their events."""
    _, places = np.unique(users, return_inverse=True)
    counts = np.bincount(places)
    sums: FloatArray = np.stack([np.bincount(places, weights=one) for one in (ours, theirs)])
    if by == "users":
        sums = sums / counts
    draws = np.random.default_rng(0).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES)
    totals = draws @ sums.T
    return [round(float(one), 4) for one in np.quantile(totals[:, 0] / totals[:, 1], [0.025, 0.975])]


def _adapter_facts(runs: Sequence[Recommender], result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "evidence": [run.facts["evidence"] for run in runs],
        "rerank": [run.facts["rerank"]["chosen"] for run in runs],
        "update_seconds": {name: result["update_seconds"][name] for name in (WHOLE, STATIC)},
    }


if __name__ == "__main__":
    main()
