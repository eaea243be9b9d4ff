"""The evidence stage put together: facts of a data set, and weights learned on the cut."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynmm.config import Config
from dynmm.errors import ArtefactError, UnsupportedByData, reason
from dynmm.evidence.arriving import LATENT, MOST, learn_newcomers, popularity
from dynmm.evidence.attributes import AttributeTable
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.likeness import Likeness
from dynmm.evidence.neighbours import NeighbourTerms
from dynmm.evidence.newcomers import Newcomers
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.parts import Column
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.seen import SeenPairs
from dynmm.evidence.sequences import Sequences
from dynmm.evidence.settings import EvidenceSettings
from dynmm.evidence.system import latent_scores
from dynmm.evidence.terms import Terms
from dynmm.evidence.trend import TrendSettings
from dynmm.evidence.weights import Weights, choose_strength, learn_weights
from dynmm.fusion.joint import Joint
from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.itemtable import unspoken_columns
from dynmm.interactions.splits.casework import times_of
from dynmm.interactions.splits.cut import later_by_time
from dynmm.interactions.splits.eventwise import each_event
from dynmm.protocols import VectorSpace
from dynmm.stages import StageCache, data_fingerprint
from dynmm.storage import named_disk_errors, write_json
from dynmm.system import Query

WEIGHTS_FILE = "weights.json"
CODE_VERSION = 3


def items_of(dataset: Dataset, settings: EvidenceSettings) -> ItemStatistics:
    """Counts and trends of single items."""
    return ItemStatistics.of(dataset, TrendSettings(days=settings.trend_days, say=settings.trend_say))


def terms_of(dataset: Dataset, joint: Joint | None, settings: EvidenceSettings) -> Terms:
    """Facts of the data set's events, and of what the joint stage knows of the items of its fit."""
    return Terms(
        pairs=PairStatistics.of(dataset, settings.pairs),
        items=items_of(dataset, settings),
        likeness=() if joint is None else tuple(Likeness.of(one) for one in joint.joined.features),
        attributes=AttributeTable.of(dataset.item_table),
        recencies=settings.recencies,
        trend_days=settings.trend_days if dataset.has_time else (),
        n_items=dataset.n_items,
    )


def neighbour_terms_of(dataset: Dataset, joint: Joint | None, settings: EvidenceSettings) -> NeighbourTerms:
    """The paper's facts, see `NeighbourTerms`."""
    return NeighbourTerms.of(terms_of(dataset, joint, settings), settings.neighbours)


def read_terms(dataset: Dataset, joint: Joint | None, settings: EvidenceSettings) -> Terms | NeighbourTerms:
    """The facts of the variant that is configured."""
    make = neighbour_terms_of if settings.variant == "paper" else terms_of
    return make(dataset, joint, settings)


def learned(
    terms: Terms, space: VectorSpace, asked: Cases, settings: EvidenceSettings, seed: int, cache: StageCache, key: str
) -> Weights | None:
    """Weights learned on the cut, from the cache where they are there. None with too few events to learn from.

    terms, space: of the events before the cut. key: names what they follow from.
    """
    entry = cache.key("evidence", data=key, settings=settings, seed=seed, code_version=CODE_VERSION)
    if (found := cache.get(entry)) is not None:
        return read_weights(found)
    made = learn_weights(terms, _scores(space), asked, settings, seed)
    if made is not None:
        with cache.put(entry) as folder:
            write_weights(made, folder)
    return made


def newcomers_of(
    train: Dataset,
    settings: EvidenceSettings,
    seed: int,
    *,
    latent: float = LATENT,
    window: str | int | None = None,
) -> Newcomers:
    """What counts for people without a history, learned on first events of the last `cut_share` by time; popularity
    where there is no moment to cut at. latent: see `LATENT`. window: what is asked of as first, see `each_event`."""
    times = times_of(train)
    if times is None:
        return popularity(settings, latent=latent)
    try:
        later = later_by_time(times, settings.cut_share, "the cut", window)
    except UnsupportedByData:
        return popularity(settings, latent=latent)
    before = train.keep(~later, validation=None)
    asked = each_event(train, later, MOST, first=True, window=window)
    return learn_newcomers(items_of(before, settings), train.n_items, asked, settings, seed, latent=latent)


def strengthened(
    terms: Terms | NeighbourTerms,
    space: VectorSpace,
    weights: Weights,
    validation: Cases | None,
    settings: EvidenceSettings,
    seed: int,
) -> EvidenceScore:
    """The score with the strength that validation chooses. terms, space: of all training events."""
    strength = 1.0
    if validation is not None and len(validation):
        strength = choose_strength(terms, _scores(space), weights.weights, validation, settings, seed)
    return EvidenceScore(terms, replace(weights, strength=strength))


def inputs_key(before: Dataset, space: VectorSpace) -> str:
    """Names the events before the cut and the latent that was fitted to them."""
    digest = hashlib.sha256(data_fingerprint(before).encode())
    digest.update(np.ascontiguousarray(space.item_vectors.cpu().numpy()).tobytes())
    digest.update(json.dumps(before.item_table.hash_rows(0).to_list()).encode())
    # Columns that were attributes once: what was learned with them fits no more.
    digest.update("".join(unspoken_columns(before.item_table)).encode())
    return digest.hexdigest()


def cut_key(before: Dataset, space: VectorSpace, asked: Cases) -> str:
    """Names what `inputs_key` does, and the answers that teach."""
    digest = hashlib.sha256(inputs_key(before, space).encode())
    along = None if asked.along is None else (asked.along.users, asked.along.items, asked.along.timestamps)
    questions = (asked.users, asked.history_items, asked.history_offsets, asked.history_times)
    for column in (*questions, asked.target_items, asked.target_offsets, asked.as_of, asked.passed, *(along or ())):
        digest.update(b"none" if column is None else f"{column.dtype.str}{column.shape}".encode())
        if column is not None:
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def facts_of(score: EvidenceScore | None) -> dict[str, Any] | None:
    """What the manifest tells of evidence: its strength, and the weight of each column in units of the latent."""
    if score is None:
        return None
    weights = score.weights
    return {
        "strength": weights.strength,
        "learned_from": weights.learned_from,
        "weights": {one.label: float(w) for one, w in zip(weights.columns, weights.weights, strict=True) if w > 0},
        "newcomers": asdict(weights.newcomers),
    }


def write_weights(weights: Weights, folder: Path) -> None:
    """Write what was learned. Raises StorageError."""
    columns = [[one.fact, one.name, one.recency] for one in weights.columns]
    card = {
        "columns": columns,
        "weights": weights.weights.tolist(),
        "strength": weights.strength,
        "learned_from": weights.learned_from,
        "latent": weights.latent,
        "newcomers": asdict(weights.newcomers),
    }
    write_json(folder / WEIGHTS_FILE, card)


def read_weights(folder: Path) -> Weights:
    """Read what `write_weights` wrote. Raises ArtefactError."""
    try:
        card = json.loads((folder / WEIGHTS_FILE).read_bytes())
        columns = tuple(Column(fact, name, float(recency)) for fact, name, recency in card["columns"])
        weights = np.asarray(card["weights"], dtype=np.float64)
        if weights.shape != (len(columns),) or not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError("weights do not fit their columns")
        strength, latent = float(card["strength"]), float(card["latent"])
        # Earlier runs knew no such weights, and were fitted without them.
        newcomers = _newcomers(card["newcomers"]) if "newcomers" in card else Newcomers()
        return Weights(columns, weights, strength, int(card["learned_from"]), latent, newcomers)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(
            f"the evidence in {folder} cannot be read: {reason(error)}; copy the run again, or fit it again"
        ) from error


def _newcomers(card: Mapping[str, Any]) -> Newcomers:
    """Raises ValueError, KeyError or TypeError where it is not what `write_weights` wrote."""
    trends = tuple((int(days), float(weight)) for days, weight in card["trends"])
    found = Newcomers(float(card["taken"]), trends, int(card["learned_from"]))
    if not all(0 <= weight < math.inf for weight in (found.taken, *(weight for _, weight in trends))):
        raise ValueError("a weight for people without a history is negative or not finite")
    return found


def _scores(space: VectorSpace) -> Callable[..., torch.Tensor]:
    return lambda histories: latent_scores(space, [Query(history) for history in histories])


def save_evidence(score: EvidenceScore, folder: Path) -> None:
    """Weights and base aggregates: sums over pairs and counts of items, nothing of any user. Raises StorageError."""
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_weights(score.weights, folder)
    pairs = score.terms.pairs
    nobody = Sequences(np.zeros(1, np.int64), np.empty(0, np.int32))
    pairs.compact()
    PairStatistics(pairs.settings, pairs.tables, nobody, ordered=pairs.ordered, fading=pairs.fading).save(folder)
    counts = score.terms.items
    ItemStatistics(counts.events, counts.users, SeenPairs(np.empty(0, np.int64)), None).save(folder)


def load_evidence(
    folder: Path,
    catalogue: Dataset,
    counted: Dataset | None,
    joint: Joint | None,
    facts: Mapping[str, Any],
    *,
    recount: bool = False,
) -> EvidenceScore:
    """Read what `save_evidence` wrote. counted: the events that the aggregates count; None for a published model,
    which has no trend and no users. recount: people were deleted, so the aggregates are counted anew. Raises
    ArtefactError."""
    settings = Config.of(facts["config"]).evidence
    weights, pairs = read_weights(folder), PairStatistics.load(folder)
    if counted is None:
        items = ItemStatistics.load(folder)
    elif recount:
        pairs = PairStatistics.of(counted, settings.pairs)
        items = items_of(counted, settings)
    else:
        own = Sequences(np.array(counted.offsets, np.int64), np.array(counted.events.items, np.int32))
        pairs = PairStatistics(pairs.settings, pairs.tables, own, ordered=pairs.ordered, fading=pairs.fading)
        items = items_of(counted, settings)
    every = Terms(
        pairs=pairs,
        items=items,
        likeness=() if joint is None else tuple(Likeness.of(one) for one in joint.joined.features),
        attributes=AttributeTable.of(catalogue.item_table),
        recencies=settings.recencies,
        trend_days=settings.trend_days if any(one.fact == "trend" for one in weights.columns) else (),
        n_items=catalogue.n_items,
    )
    terms = NeighbourTerms.of(every, settings.neighbours) if settings.variant == "paper" else every
    if terms.columns != weights.columns:
        raise ArtefactError(
            f"the evidence in {folder} does not fit the items of the run, or another version made it: copy the run "
            "again, or fit it anew"
        )
    return EvidenceScore(terms, weights)
