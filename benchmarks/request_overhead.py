"""What facts and the adapter cost in a whole request, beside the base aligner with the same language model.

    python benchmarks/request_overhead.py --threads 1 --out benchmarks/results/request_overhead.json

The full system ranks by joint latents that the adapter moves and by facts, and its language model reads both. The base
aligner ranks by joint latents as fitted; its language model, of the same weights, reads user, history and candidates.
Both know the pictures and texts of the joint stage, whose vectors are made at the fit and cost a request nothing. Both
were fitted for a moment, since speed does not depend on how well, and the full system has learned the newest events
again, one by one. A request is one user's ten best of the whole catalogue. The same users ask both, in turns, once with
nothing kept of any of them, and once with their prefixes kept. The aim: at most 3 % more. --threads 1 compares
processor time, which a busy machine disturbs least; else wall time.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _shapes import published
from numpy.typing import NDArray

from dynmm import Dataset, Recommender
from dynmm.assembly import FitOptions, Whole, as_fitted, known_events, with_adapter
from dynmm.assembly.searching import rank_within
from dynmm.assembly.slating import NewestShelf, newest_items
from dynmm.interactions.contenthash import data_sha256
from dynmm.interactions.windows import usual_window
from dynmm.language.slates import NOBODY, Shelf, Slates
from dynmm.language.system import Reranking, RerankSystem
from dynmm.language.vocabulary import save_tokenizer, train_tokenizer
from dynmm.storage import write_json
from dynmm.system import PADDING, Query, Rankings
from dynmm.testing.folders import data_folders
from dynmm.transformers_library import quiet
from dynmm.types import Events, UserHistory

AIM_PERCENT = 3.0
#: A model that is pretrained for a moment, and two of OPT's shapes with random weights.
MODELS = ("compact", "opt-125m", "opt-1.3b")
#: Of each stage as little as there is.
BRIEF: dict[str, Any] = {
    "backbone": {"epochs": 1},
    "fusion": {"epochs": 1},
    "rerank": "language",
    "reranking": {"users": 400, "least_users": 20, "validated": 20},
}
LANGUAGE: dict[str, Any] = {"epochs": 1, "questions": 64, "pretrain_steps": 10}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ml-latest-small", help="folder, or name of one under DYNMM_DATA")
    parser.add_argument("--model", action="append", choices=MODELS, help="repeatable; by default all")
    parser.add_argument("--candidates", type=int, action="append", help="re-ranked; repeatable; by default 20 and 100")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3, help="times that each user asks")
    parser.add_argument("--learned", type=int, default=2_000, help="events that are learned again before")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found: dict[str, Any] = {}
    for folder in data_folders([given.data]):
        data = Dataset.load(folder)
        with tempfile.TemporaryDirectory() as place:
            for model in given.model or MODELS:
                for candidates in given.candidates or (20, 100):
                    name = f"{model}, {candidates} candidates"
                    found[name] = _measured(data, model, candidates, Path(place), given)
                    print(name, *(f"\n  {key}: {value}" for key, value in found[name].items()), flush=True)
        result = {
            "date": datetime.date.today().isoformat(),
            "cores": os.cpu_count(),
            "threads": given.threads,
            "torch": torch.__version__,
            "data": folder.name,
            "data_sha256": data_sha256(data),
            "items": data.n_items,
            "users": given.users,
            "aim_percent": AIM_PERCENT,
            "requests": found,
        }
        if given.out is not None:
            write_json(given.out, result)


def _measured(data: Dataset, model: str, candidates: int, place: Path, given: argparse.Namespace) -> dict[str, Any]:
    named = model if model == "compact" else str(_random_model(data, model, place))
    full = _fit(data, candidates, {"model": named}, 1.0, place)
    base = _fit(data, candidates, {"model": named, "evidence": "none"}, 0.0, place)
    split = full.split
    assert split is not None
    moved = with_adapter(full, usual_window(known_events(split)))
    newest = _newest(split.source.events, given.learned)
    moved.learn(newest)
    moment = None if newest.timestamps is None else int(newest.timestamps.max())
    queries = _queries(full, given.users, moment)
    fitted = as_fitted(base)
    # Whether validation would let it rank does not matter here.
    systems = {
        "full": (RerankSystem(_never, (moved.below(), _language(moved))), moved),
        "base": (RerankSystem(_never, (_Latents(fitted), _language(fitted))), fitted),
    }
    found: dict[str, Any] = {"adapter_versions": len(moved.versions)}
    for state in ("nothing kept", "prefixes kept"):
        times = _in_turns(systems, queries, given.rounds, keeps=state == "prefixes kept")
        # Of each request over its own, and the median of those: a disturbance spoils one of them.
        over = 100 * (float(np.median(times["full"] / times["base"])) - 1)
        found[state] = {f"{name}_ms_p50": 1e3 * float(np.median(taken)) for name, taken in times.items()}
        found[state]["overhead_percent"] = over
        found[state]["overhead_ms"] = 1e3 * float(np.median(times["full"] - times["base"]))
    return found


def _language(whole: Whole) -> Reranking:
    assert whole.reranked is not None
    return whole.reranked.fitted["language"].reranking


def _in_turns(
    systems: Mapping[str, tuple[RerankSystem, Whole]], queries: Sequence[Query], rounds: int, *, keeps: bool
) -> dict[str, NDArray[np.float64]]:
    """(requests,) seconds by system. keeps: each user has asked before."""
    clock: Callable[[], float] = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in systems}
    for round_ in range(-1, rounds):
        for query in queries:
            for name in list(systems)[:: 1 if round_ % 2 else -1]:
                system, memory = systems[name]
                if not keeps:
                    memory.clear()
                began = clock()
                system.rank([query], 10)
                if round_ >= 0:
                    times[name].append(clock() - began)
    return {name: np.asarray(taken) for name, taken in times.items()}


class _Latents:
    """Joint latents as fitted, to a language model that reads no facts: the base aligner's stages below."""

    def __init__(self, whole: Whole) -> None:
        assert whole.reranked is not None
        assert whole.evidence is not None
        self._whole, self._reader, self._titles = whole, whole.reranked.reader, whole.reranked.titles
        reader = whole.evidence.reader
        assert reader is not None
        self._history, self._facts = whole.reranked.history, len(reader.names)
        self._terms, self._shelves = reader.terms, NewestShelf()

    def rank(self, queries: Sequence[Query], k: int) -> Rankings:
        """The best k items by latent."""
        return rank_within(self._whole.frozen_space, self._whole.search, None, queries, k)

    def slates(self, queries: Sequence[Query], found: Rankings) -> Slates:
        """What is known of these items, without facts."""
        items = torch.from_numpy(np.where(found.items == PADDING, NOBODY, found.items).astype(np.int64))
        scores, histories = torch.from_numpy(found.scores), [query.history for query in queries]
        latent = torch.where(items == NOBODY, 0.0, scores)
        assert self._reader is not None
        users = self._reader.user_vectors(histories).cpu()
        newest = newest_items(histories, self._history)
        return Slates(users, torch.from_numpy(newest), items, scores, latent, torch.zeros(*items.shape, self._facts))

    @property
    def shelf(self) -> Shelf:
        """What is known of all items."""
        return self._shelves.of(self._terms, self._reader, self._titles)

    def learn(self, events: Events) -> None:
        """Learns nothing."""


def _queries(run: Recommender, users: int, moment: int | None) -> list[Query]:
    longest = np.argsort(-np.diff(run.known.offsets), kind="stable")[:users]
    found = []
    for user in longest.tolist():
        history: UserHistory = run.known.history(user)
        found.append(Query(history, moment, exclude=np.unique(history.items)))
    return found


def _newest(events: Events, count: int) -> Events:
    """The newest events in the order of their times: what comes behind the fit costs the same whatever it says."""
    order = np.arange(len(events)) if events.timestamps is None else np.argsort(events.timestamps, kind="stable")
    return events.take(order[-count:])


def _fit(data: Dataset, candidates: int, language: dict[str, Any], strength: float, place: Path) -> Recommender:
    config = BRIEF | {
        "reranking": BRIEF["reranking"] | {"candidates": candidates},
        "language": LANGUAGE | language,
        "evidence": {"strengths": [strength]},
    }
    return Recommender.fit(data, config, split="full", seed=0, options=FitOptions("cpu", place / "cache"))


def _random_model(data: Dataset, name: str, place: Path) -> Path:
    """A folder with random weights of a published shape, in half precision, and a tokenizer learned from the titles."""
    folder = place / name
    if folder.exists():
        return folder
    transformers: Any = importlib.import_module("transformers")
    assert data.item_table is not None
    folder.mkdir()
    save_tokenizer(train_tokenizer(data.item_table["title"].to_list(), 4_096), folder, 2_048)
    torch.manual_seed(0)
    with quiet():
        shape = published(name, vocab_size=4_096)
        transformers.AutoModelForCausalLM.from_config(shape, dtype=torch.bfloat16).save_pretrained(folder)
    return folder


def _never(_: Dataset) -> Any:
    raise AssertionError("both are fitted already")


if __name__ == "__main__":
    main()
