"""A run measured: our system and the comparison systems, fitted on the same events, through the same exam."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dynmm import baselines
from dynmm.assembly import (
    ONLINE,
    WHOLE,
    Frozen,
    Questions,
    Whole,
    alone,
    as_fitted,
    frozen_sha256,
    known_events,
    known_features,
    lower_rungs,
    online,
    retrained_backbone,
    titles_only,
    whole_of,
    with_adapter,
    with_features,
)
from dynmm.catalogue.corruption import Condition
from dynmm.catalogue.features import Features
from dynmm.config import Config
from dynmm.errors import ConfigError, ProtocolMismatch
from dynmm.evaluation.ladder import FROZEN, STATIC
from dynmm.evaluation.protocols import Exam, check_complete, exams, run_all
from dynmm.evaluation.replay import Mode, Stream
from dynmm.evaluation.retrained import DAY_MS, MAX_REFITS
from dynmm.evaluation.robustness import run_robustness
from dynmm.evaluation.streams import run_stream
from dynmm.interactions.candidates import Candidates, draw_candidates, load_candidates, write_candidates
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split
from dynmm.interactions.windows import parse_duration, usual_window
from dynmm.language.titles_only import TitlesOnly
from dynmm.rationale.words import listed
from dynmm.recommender import Recommender
from dynmm.storage import sha256_of
from dynmm.system import System
from dynmm.types import Events

log = logging.getLogger(__name__)

#: The backbone trained further every week on all events so far; less often in a stream of more than 60 weeks.
RETRAINED_DAYS = 7.0
RETRAINED = f"backbone-retrained-{RETRAINED_DAYS:g}d"

#: A run's language model by titles alone; it takes long, so it is measured where it is asked for.
LLM_ONLY = TitlesOnly.name

#: One seed for everybody, so that all runs on the same split rank the same candidates.
CANDIDATE_SEED = 0

#: Called with what is being done.
Told = Callable[[str], None]


def comparison_names(
    dataset: Dataset, *, stream: bool = False, cold: bool = False, features: Sequence[Features] = ()
) -> list[str]:
    """The comparison systems that the data supports and this installation has.

    cold: for questions about items that training hardly knows: what content can do by itself, what counts can,
    and chance; als and bpr, which know an item by its events alone, are left out. features: of the items, as the
    run sees them.
    """
    names = ["popularity"]
    if dataset.has_time:
        names += ["recent-popularity-1d", "recent-popularity-7d", "recent-popularity-30d"]
    if dataset.has_order:
        names.append("item-knn")
    if stream:
        rules = ["recently-clicked", "streaming-cooccurrence", "session-knn"]
        return [*names, "online-item-knn", *rules, "online-mf", RETRAINED]
    if cold:
        return [*baselines.content_names(features), *names, "random"]
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
    features: Sequence[Features] = (),
    learned: bool = False,
    told: Told | None = None,
) -> dict[str, Any]:
    """The test part of a run under one protocol, as the JSON of `dynmm evaluate`.

    protocol: None for that of the run's split. systems: names of comparison systems, empty for all that the
    data supports. candidates: folder of the frozen candidate file, drawn where there is none yet. features: what
    the run knows of its items, in their order, for the comparison systems that read content. learned: measure the run
    with what it has learned, too, as `dynmm/online`.
    Raises ProtocolMismatch where the run was fitted for another split, or has learned answers of the test part.
    """
    split = _split_of(recommender)
    asked = _exams(split, protocol, candidates)
    questions = Questions()
    whole = questions.watch(WHOLE, as_fitted(recommender))
    questions.watch_controls(whole)
    *lower, top = whole.rungs().items()
    lineup: dict[str, Iterable[System]] = {WHOLE: [whole]}
    notes = []
    if learned:
        now, note = online(recommender, asked[0].cases)
        lineup[ONLINE], notes = [questions.watch(ONLINE, now.unhurried())], [note]
    lineup |= {name: [rung] for name, rung in lower}
    lineup |= {name: [control] for name, control in whole.controls().items()}
    features = features or whole.features
    names = systems or comparison_names(split.train, cold=split.name == "cold", features=features)
    recent = {"until": "known"} if split.name == "holdout" else {}  # see `_on_windows`
    for name in names:
        settings = recent if baselines.counts_recent(name) else {}
        lineup[name] = _read(whole, split) if name == LLM_ONLY else _compared(name, split, told, features, **settings)
    report = None if told is None else lambda name, *_: told(f"measuring {name}")
    outcome = run_all(asked, lineup, data_sha256=_sha256(recommender), progress=report).to_json()
    outcome["notes"] += [*notes, *(_on_windows(split, asked[0]) if any(map(baselines.counts_recent, names)) else ())]
    outcome["beside"] = [_with_rung(one, top[0]) for one in outcome.get("beside", ())]
    return _described(_with_rung(outcome, top[0]), recommender, split, questions)


def robustness(
    recommender: Recommender,
    asked: Sequence[Condition],
    protocol: str | None = None,
    *,
    seed: int = 0,
    candidates: Path | None = None,
    told: Told | None = None,
) -> dict[str, Any]:
    """What a run loses under each condition of its features, as the JSON of `dynmm evaluate --drop`.

    asked: `full` among them. seed: of the items that are hit and of the noise. candidates: as of `evaluate`.
    Nothing is trained anew. Of a `cold` run the same among cold items alone stands under "beside". Raises
    UnsupportedByData for a run without a joint stage, ProtocolMismatch as
    `evaluate` does.
    """
    split = _split_of(recommender)
    exams = _exams(split, protocol, candidates)
    questions = Questions()
    found = []
    # Cold items are asked about among all items, where they may never be seen, and among themselves.
    for exam in exams if split.name == "cold" else exams[:1]:
        systems = {one: _under(recommender, one, seed, told, questions) for one in asked}
        found.append(run_robustness(exam, systems, data_sha256=_sha256(recommender)).to_json())
    return _described(found[0] | ({"beside": found[1:]} if found[1:] else {}), recommender, split, questions)


def _under(
    recommender: Recommender, condition: Condition, seed: int, told: Told | None, questions: Questions
) -> Iterator[System]:
    """The run under one condition, made when its turn comes."""
    if told is not None:
        told(f"measuring {condition.name}")
    changed = with_features(recommender, condition.applied(known_features(recommender), seed))
    yield questions.watch(condition.name, changed)


def stream(
    recommender: Recommender,
    *,
    mode: Mode = "event",
    window: str = "",
    systems: Sequence[str] = (),
    ladder: bool = False,
    told: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """The last part of a stream run replayed, scored before it is learned, as the JSON of `dynmm stream`.

    window: its length; empty means an hour where timestamps are exact and a day where they are days. The adapter has
    the same, unless the run's `adapter.window` names another. ladder: replay the lower rungs, too.
    Raises ProtocolMismatch where the run was fitted for another split, somebody of its fit was deleted since, or what
    is frozen has moved meanwhile.
    """
    split = _split_of(recommender)
    check_complete(split)
    if split.stream is None:
        raise ProtocolMismatch(
            f"this run was fitted with --split {split.name}; a replay needs one fitted with --split stream"
        )
    base = known_events(split)
    window = window or usual_window(base)
    lower, top = lower_rungs(recommender)
    features = known_features(recommender)
    questions = Questions()
    ours: dict[str, Callable[[], System]] = {
        WHOLE: lambda: questions.watch(WHOLE, with_adapter(recommender, window)),
        STATIC: lambda: questions.watch(STATIC, alone(recommender)),
        FROZEN: lambda: Frozen(questions.watch(FROZEN, alone(recommender))),
        **(lower if ladder else {}),
    }
    lineup: dict[str, Iterator[System]] = {name: _made(make) for name, make in ours.items()}
    for name in systems or comparison_names(base, stream=True):
        retrained = name == RETRAINED
        lineup[name] = _retrained(recommender, split) if retrained else _in_stream(name, base, features)
    report = None if told is None else lambda name, _, done, total: told(name, done, total)
    frozen = frozen_sha256(recommender)
    outcome = run_stream(
        Stream.of(base, split.stream, mode=mode, window=window),
        lineup,
        data_sha256=_sha256(recommender),
        retention=split.validation,
        progress=report,
    ).to_json()
    outcome["frozen_sha256"] = {"before": frozen, "after": frozen_sha256(recommender)}
    if outcome["frozen_sha256"]["after"] != frozen:
        raise ProtocolMismatch(
            "what is frozen until the next fit moved while the stream was replayed, so these numbers are of no one "
            "run; please report it with the configuration of the run"
        )
    outcome["notes"] += _on_refits(split.stream) if RETRAINED in lineup else []
    outcome["notes"] += _on_the_fit(recommender, mode, window)
    outcome["notes"].append(f"{STATIC} is {top} with counts that advance: nothing but the adapter is built above it.")
    return _described(outcome, recommender, split, questions)


def _made(make: Callable[[], System]) -> Iterator[System]:
    """One of ours, made when its turn comes, so that only one is in memory."""
    yield make()


def _on_the_fit(recommender: Recommender, mode: Mode, window: str) -> list[str]:
    """A run is fitted for events that know all before them, or for windows: what is replayed may be the other."""
    fitted_for = Config.of(recommender.facts["config"]).split.stream_window
    wanted = None if mode == "event" else window
    if (fitted_for and parse_duration(fitted_for)) == (wanted and parse_duration(wanted)):
        return []
    was = "events that know of all before them" if fitted_for is None else f"windows of {fitted_for}"
    value = "null" if wanted is None else wanted
    return [f"This run was fitted for {was}; a fit with split.stream_window={value} is asked as this replay asks."]


def _on_refits(events: Events) -> list[str]:
    """A long stream spreads its refits: then the name of the system says a shorter period than there is."""
    assert events.timestamps is not None, "streams have timestamps"
    days = float(events.timestamps[-1] - events.timestamps[0]) / DAY_MS
    if days <= RETRAINED_DAYS * MAX_REFITS:
        return []
    return [f"{RETRAINED} is trained every {days / MAX_REFITS:.1f} days here: at most {MAX_REFITS} times in a stream."]


def _reranker(recommender: Recommender) -> dict[str, Any]:
    """The kind that ranks, ``none`` without; why none does, None where one does; and the kinds that got no weight."""
    chosen, told = whole_of(recommender).reranking, recommender.facts["rerank"] or {}  # null in earlier versions
    idle = [kind for kind, fitted in told.get("kinds", {}).items() if fitted.get("gamma") == 0]
    named = {"kind": "none", "why": told.get("why")} if chosen is None else {"kind": chosen.kind, "why": None}
    return named | {"idle": idle}


def _on_reranker(told: Mapping[str, Any]) -> list[str]:
    """Every figure of the whole is owed to it, too. Nothing for a run of an earlier version that does not say why."""
    if told["kind"] != "none":
        return [f"The re-ranker of {WHOLE} is {told['kind']}.", *_on_weightless(told["idle"])]
    return [*([f"{WHOLE} has no re-ranker: {told['why']}."] if told["why"] else []), *_on_weightless(told["idle"])]


def _on_weightless(kinds: Sequence[str]) -> list[str]:
    """Their rows have the figures of the stages below to the last digit, which would be taken for a mistake."""
    if not kinds:
        return []
    rest = (
        "it has no weight, and its row is that" if len(kinds) == 1 else "they have no weight, and their rows are those"
    )
    return [
        f"{listed(kinds)} gained nothing sure on the questions that were kept from training, so {rest} of the stages "
        "below."
    ]


def _split_of(recommender: Recommender) -> Split:
    if recommender.split is None:
        raise ProtocolMismatch("this is a published model without events; evaluate the run that it came from")
    return recommender.split


def _sha256(recommender: Recommender) -> str:
    return str(recommender.facts["data"]["sha256"])


def _fitted(
    name: str, train: Dataset, told: Told | None, features: Sequence[Features] = (), **settings: Any
) -> Iterator[System]:
    """One comparison system, fitted when its turn comes, so that only one is in memory."""
    system = baselines.create(name, features=features, **settings)

    def fitting() -> Iterator[System]:
        if told is not None:
            told(f"fitting {name}")
        system.fit(train)
        yield system

    return fitting()


def _read(whole: Whole, split: Split) -> Iterator[System]:
    yield titles_only(whole, split.train)


def _compared(
    name: str, split: Split, told: Told | None, features: Sequence[Features], **settings: Any
) -> Iterator[System]:
    """A comparison system that any run has. Raises ConfigError for a name that is none, with what there is."""
    try:
        return _fitted(name, split.train, told, features, **settings)
    except ConfigError as error:
        raise _with_more(error, name, f"of a run with a language model {LLM_ONLY}") from None


def _with_more(error: ConfigError, name: str, more: str) -> ConfigError:
    """The error, and what else there is where the name itself is wrong."""
    known = name in (*baselines.names(), *baselines.CONTENT) or baselines.counts_recent(name)
    return error if known else ConfigError(f"{error}, and {more}")


def _in_stream(name: str, base: Dataset, features: Sequence[Features]) -> Iterator[System]:
    """A comparison system that any stream has. Raises ConfigError for a name that is none, with what there is."""
    try:
        return _fitted(name, base, None, features)
    except ConfigError as error:
        raise _with_more(error, name, f"in a stream {RETRAINED}") from None


def _on_windows(split: Split, exam: Exam) -> list[str]:
    """Under `holdout` the question may come long after the last event that anybody may count."""
    times, asked = split.train.events.timestamps, exam.cases.as_of
    if split.name != "holdout" or times is None or asked is None or asked.max() <= times.max():
        return []
    days = float(asked.max() - times.max()) / DAY_MS
    return [
        f"The window of recent popularity ends with the last training event, here up to {days:.1f} days before the "
        "question: validation events are in everybody's history and in nobody's counts."
    ]


def _retrained(recommender: Recommender, split: Split) -> Iterator[System]:
    yield retrained_backbone(recommender, split, RETRAINED, RETRAINED_DAYS)


def _exams(split: Split, protocol: str | None, candidates: Path | None) -> list[Exam]:
    """Of one protocol, None for that of the split, with the candidates that it needs."""
    drawn, digest = _candidates(split, candidates) if protocol == "sampled" and split.name == "full" else (None, "")
    return exams(split, protocol or split.name, drawn=drawn, candidates_sha256=digest)


def _candidates(split: Split, folder: Path | None) -> tuple[Candidates, str]:
    if folder is None:
        return draw_candidates(split, CANDIDATE_SEED), ""
    if not folder.exists():
        write_candidates(folder, draw_candidates(split, CANDIDATE_SEED), split)
    return load_candidates(folder, split), sha256_of(folder / "candidates.parquet")


def _with_rung(result: dict[str, Any], rung: str) -> dict[str, Any]:
    """The whole is its highest rung: its scores stand under both names, and nothing is compared with itself."""
    named: dict[str, Any] = _under_both(result, rung)
    return named | {"notes": [*named["notes"], f"{WHOLE} is {rung}: nothing is built above it."]}


def _under_both(value: Any, rung: str) -> Any:
    """The same value, where every table by system has a row for the rung after the one of the whole."""
    if isinstance(value, list):
        return [_under_both(one, rung) for one in value]
    if not isinstance(value, dict):
        return value
    told = {name: _under_both(one, rung) for name, one in value.items()}
    return {WHOLE: told[WHOLE], rung: told[WHOLE], **told} if WHOLE in told else told


def _described(result: dict[str, Any], recommender: Recommender, split: Split, questions: Questions) -> dict[str, Any]:
    reranker = _reranker(recommender)
    return result | {
        "notes": [*result["notes"], *_on_reranker(reranker), *questions.notes()],
        "served": questions.as_json(),
        "reranker": reranker,
        "data": split.source.info.name,
        "split": {
            "name": split.name,
            "variant": split.variant,
            "counts": split.counts,
            "notes": recommender.facts["notes"],
        },
        "run_seeds": list(recommender.facts["seeds"]),
        "dynmm": recommender.facts["dynmm"],
    }
