"""A run measured: our system and the comparison systems, fitted on the same events, through the same exam."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dynmm import baselines
from dynmm.assembly import WHOLE, known_events, retrained_backbone
from dynmm.errors import ProtocolMismatch
from dynmm.evaluation import protocols
from dynmm.evaluation.replay import Mode, Stream
from dynmm.evaluation.streams import run_stream
from dynmm.interactions.candidates import FEW_NEGATIVES, draw_candidates, load_candidates, write_candidates
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split
from dynmm.recommender import Recommender
from dynmm.system import System

log = logging.getLogger(__name__)

#: The split that a run must have been fitted for, by protocol.
SPLIT_OF = {"full": "full", "sampled": "full", "holdout": "holdout", "cold": "cold"}

#: The rungs that exist. With one stage built, the whole is that stage.
RUNG = "dynmm/backbone"
STATIC = "dynmm/static"

#: The backbone trained further every week on all events so far.
RETRAINED = "backbone-retrained-7d"

#: One seed for everybody, so that all runs on the same split rank the same candidates.
CANDIDATE_SEED = 0

#: Called with the name of a system that is being fitted or measured.
Told = Callable[[str], None]


def comparison_names(dataset: Dataset, *, stream: bool = False) -> list[str]:
    """The comparison systems that the data supports and this installation has."""
    names = ["popularity"]
    if dataset.has_time:
        names += ["recent-popularity-1d", "recent-popularity-7d", "recent-popularity-30d"]
    if dataset.has_order:
        names.append("item-knn")
    if stream:
        return [*names, "online-item-knn", RETRAINED]
    if importlib.util.find_spec("implicit") is not None:
        names += ["als", "bpr"]
    else:
        log.warning("als and bpr are left out: they need implicit, pip install 'dynmm[eval]'")
    return names


def evaluate(
    recommender: Recommender,
    protocol: str | None = None,
    systems: Sequence[str] = (),
    *,
    candidates: Path | None = None,
    told: Told | None = None,
) -> dict[str, Any]:
    """The test part of a run under one protocol, as the JSON of `dynmm evaluate`.

    protocol: None for that of the run's split. systems: names of comparison systems, empty for all that the
    data supports. candidates: folder of the frozen candidate file, drawn where there is none yet.
    Raises ProtocolMismatch where the run was fitted for another split.
    """
    split = _split_of(recommender)
    protocol = protocol or _own_protocol(split)
    if SPLIT_OF[protocol] != split.name:
        raise ProtocolMismatch(
            f"this run was fitted with --split {split.name} and cannot be evaluated as {protocol!r}: fit another "
            f"with --split {SPLIT_OF[protocol]}"
        )
    assert split.test is not None, "every split that an evaluation takes has test cases"
    exams = _exams(protocol, split, candidates)
    names = list(systems) or comparison_names(split.train)
    fitted = dict(_fitted(names, split.train, told))
    ours = {WHOLE: recommender.system}
    sha = str(recommender.facts["data"]["sha256"])
    results = []
    for exam in exams:
        lineup: Mapping[str, list[System]] = {name: [system] for name, system in {**ours, **fitted}.items()}
        report = None if told is None else lambda name, *_: told(f"{exam.protocol}: {name}")  # noqa: B023
        results.append(protocols.run(exam, lineup, data_sha256=sha, progress=report).to_json())
    for result in results:
        _name_the_rung(result, RUNG)
    first, *beside = results
    return _described(first, recommender, split) | ({"beside": beside} if beside else {})


def _own_protocol(split: Split) -> str:
    if split.test is None:
        other = "`dynmm stream` replays it" if split.name == "stream" else "nothing was held out; fit with --split full"
        raise ProtocolMismatch(f"a run fitted with --split {split.name} has no test cases: {other}")
    return split.name


def _split_of(recommender: Recommender) -> Split:
    if recommender.split is None:
        raise ProtocolMismatch("this is a published model without events; evaluate the run that it came from")
    return recommender.split


def _exams(protocol: str, split: Split, candidates: Path | None) -> list[protocols.Exam]:
    assert split.test is not None
    if protocol == "cold":
        assert split.cold_items is not None, "the cold split says which items are cold"
        return list(protocols.cold(split.train, split.test, split.cold_items))
    whole = protocols.full(split.train, split.test, protocol="full" if protocol == "sampled" else protocol)
    if protocol != "sampled":
        return [whole]
    drawn, digest = _candidates(split, candidates)
    many = protocols.sampled(split.train, split.test, drawn, candidates_sha256=digest)
    few = protocols.sampled(split.train, split.test, drawn[:, :FEW_NEGATIVES], candidates_sha256=digest)
    return [many, few, whole]


def _candidates(split: Split, folder: Path | None) -> tuple[Any, str]:
    if folder is None:
        return draw_candidates(split, CANDIDATE_SEED).negatives, ""
    if not folder.exists():
        write_candidates(folder, draw_candidates(split, CANDIDATE_SEED), split)
    from dynmm.storage import sha256_of

    return load_candidates(folder, split).negatives, sha256_of(folder / "candidates.parquet")


def _fitted(names: Sequence[str], train: Dataset, told: Told | None) -> Iterator[tuple[str, System]]:
    for name in names:
        if told is not None:
            told(f"fitting {name}")
        system = baselines.create(name)
        system.fit(train)
        yield name, system


def _name_the_rung(result: dict[str, Any], rung: str) -> None:
    """The whole is one rung so far: its scores stand under both names, and nothing is compared with itself."""
    for part in ("systems", "systems_by_user"):
        if part in result:
            result[part] = {WHOLE: result[part][WHOLE], rung: result[part][WHOLE], **result[part]}
    result["notes"] = [*result["notes"], f"With one stage built, {WHOLE} is {rung}."]


def _described(result: dict[str, Any], recommender: Recommender, split: Split) -> dict[str, Any]:
    seeds = list(recommender.facts["seeds"])
    return result | {
        "data": split.source.info.name,
        "split": {"name": split.name, "variant": split.variant, "counts": split.counts, "notes": list(split.notes)},
        "run_seeds": seeds,
        "dynmm": recommender.facts["dynmm"],
    }


def stream(
    recommender: Recommender,
    *,
    mode: Mode = "event",
    window: str = "",
    systems: Sequence[str] = (),
    told: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """The last part of a stream run replayed, scored before it is learned, as the JSON of `dynmm stream`.

    window: its length; empty means an hour where timestamps are exact and a day where they are days.
    """
    split = _split_of(recommender)
    if split.stream is None:
        raise ProtocolMismatch(f"this run was fitted with --split {split.name}; a replay needs --split stream")
    base = known_events(split)
    window = window or ("1d" if split.source.info.time_resolution == "day" else "1h")
    replayed = Stream.of(base, split.stream, mode=mode, window=window)
    names = list(systems) or comparison_names(base, stream=True)

    def make(name: str) -> Iterator[System]:
        """One system, fitted when its turn comes, so that only one is in memory."""
        if name == WHOLE:
            yield recommender.system
        elif name == RETRAINED:
            yield retrained_backbone(recommender, split, RETRAINED)
        else:
            yield from dict(_fitted([name], base, None)).values()

    report = None if told is None else lambda name, _, done, total: told(name, done, total)
    sha = str(recommender.facts["data"]["sha256"])
    outcome = run_stream(
        replayed,
        {name: make(name) for name in (WHOLE, *names)},
        data_sha256=sha,
        retention=split.validation,
        progress=report,
    )
    result = outcome.to_json()
    _name_the_rung(result, STATIC)
    return _described(result, recommender, split)
