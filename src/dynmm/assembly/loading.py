"""A run folder, a published model or a hub name back into a recommender."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dynmm.artefact import MODEL, MOVING, STATE, manifest_of, open_sealed
from dynmm.assembly.books import Books, counted_in
from dynmm.assembly.evidencing import load_evidence
from dynmm.assembly.fitting import FitOptions, again
from dynmm.assembly.hub import download, is_hub_name
from dynmm.assembly.live import sealed_by, sealed_in
from dynmm.assembly.logkeeping import read_log, written_anew
from dynmm.assembly.reranked import titles_of
from dynmm.assembly.rerankkeeping import RERANK_DIR, load_reranked
from dynmm.assembly.saving import BACKBONE_DIR, CONFIG_FILE, EVIDENCE_DIR, INDEX_DIR, JOINT_DIR
from dynmm.assembly.searching import Search
from dynmm.assembly.voicing import VOICE_DIR, load_voice
from dynmm.assembly.whole import Whole, known_events, pick_device, set_moving
from dynmm.backbone.system import Backbone
from dynmm.config import Config
from dynmm.errors import ArtefactError, ModelError, TamperedArtefact, UnsupportedByData
from dynmm.fusion.keeping import load_joint
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split, after_deletion, make_split
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.recommender import Recommender
from dynmm.runfiles import read_catalogue, read_dataset
from dynmm.types import Events

logger = logging.getLogger(__name__)


def load(source: str | Path, *, device: str = "auto", as_of: int | None = None) -> Recommender:
    """A run folder, a published model folder, or a hub name. Every byte is checked first.

    as_of: see `Recommender.from_pretrained`. Raises ArtefactError, TamperedArtefact (naming the file) or
    NewerArtefact, DataError for an offset that the log does not have, and UnsupportedByData for one of a published
    model.
    """
    folder = Path(source)
    if not folder.exists() and is_hub_name(str(source)):
        folder = download(str(source))
    if not folder.is_dir():
        raise ArtefactError(f"there is no run at {folder}; `dynmm fit DATA --out {folder}` makes one")
    model = folder / MODEL if (folder / MODEL).is_dir() else folder
    checked = open_sealed(model)
    facts = {**checked, "config": _read_json(model / CONFIG_FILE)}
    catalogue = read_catalogue(model, Vocabulary(()), Events(np.empty(0, np.int32), np.empty(0, np.int32)))
    system = _read_whole(model, facts, device, titles_of(catalogue.item_table))
    state = folder / STATE
    if model is folder or not state.is_dir():
        if as_of is not None:
            raise UnsupportedByData(
                f"{folder} is a published model, which has no log and so no earlier moments; ask the run that it came "
                "from, or leave as_of out"
            )
        if (model / EVIDENCE_DIR).is_dir():
            system.equip(load_evidence(model / EVIDENCE_DIR, catalogue, None, system.joint, facts))
        return Recommender(system, catalogue, facts)
    data = open_sealed(state, moving=MOVING)
    sealed = sealed_by(manifest_of(checked), manifest_of(data))
    with _unchanged(state, sealed):
        if data["data_sha256"] != facts["data"]["sha256"]:
            raise TamperedArtefact(f"{state} belongs to another model than {model}; restore the run from a copy")
        recommender = _with_state(system, catalogue, folder, facts, int(data.get("forgotten", 0)))
        read_log(recommender, state, as_of, sealed)
    return recommender


@contextlib.contextmanager
def _unchanged(state: Path, sealed: str) -> Iterator[None]:
    """While a run is read, others may delete somebody from it: half of what was read then would be from before.

    sealed: see `Live.sealed`. Raises ArtefactError where it is another one at the end, whatever the block came to.
    """
    try:
        yield
    except Exception as error:
        if sealed_in(state) != sealed:
            raise written_anew(state) from error
        raise
    if sealed_in(state) != sealed:
        raise written_anew(state)


def _with_state(
    system: Whole, catalogue: Dataset, folder: Path, facts: Mapping[str, Any], forgotten: int
) -> Recommender:
    """A recommender with the users and the events of its fit. forgotten: users who were deleted since."""
    model = folder / MODEL
    split = _read_split(model, folder / STATE, facts, forgotten)
    counted = replace(counted_in(split), validation=None)
    system.books = Books(counted)
    if (model / EVIDENCE_DIR).is_dir():
        score = load_evidence(model / EVIDENCE_DIR, catalogue, counted, system.joint, facts, recount=bool(forgotten))
        system.equip(score)
    recommender = Recommender(system, known_events(split), facts, split)
    recommender.forgotten = forgotten
    set_moving(recommender)
    return recommender


def _read_whole(model: Path, facts: Mapping[str, Any], device: str, titles: Sequence[str]) -> Whole:
    on = pick_device(device)
    backbone = Backbone.load(model / BACKBONE_DIR, on)
    joint = None
    if (model / JOINT_DIR).is_dir():
        joint = load_joint(model / JOINT_DIR, backbone.tower(), on)
    config, seed = Config.of(facts["config"]), int(facts["seeds"][0])
    search = Search(model / INDEX_DIR) if (model / INDEX_DIR).is_dir() else None
    whole = Whole(backbone, joint, lambda dataset: again(config, seed, FitOptions(device), dataset), search)
    if (model / VOICE_DIR).is_dir():
        try:
            whole.voice = load_voice(model / VOICE_DIR, on)
        except ModelError as error:  # nothing but words is lost
            logger.warning("reasons are told in plain words: %s", error)
    if (model / RERANK_DIR).is_dir():
        spoken = None if whole.voice is None else whole.voice.frozen
        whole.reranked = load_reranked(model / RERANK_DIR, backbone, titles, on, spoken)
    return whole


def _read_split(model: Path, state: Path, facts: Mapping[str, Any], forgotten: int) -> Split:
    """The split of the fit, made again from the saved data: the same data, configuration and seed give the same.

    Where people have left the data it might come out otherwise; then what trained is as it was, and nothing is tested.
    """
    source, parts = read_dataset(model, state)
    if forgotten:
        return after_deletion(facts["split"]["name"], source, parts)
    chosen = Config.of(facts["config"]).split.model_copy(update={"k_core": 0})
    split = make_split(source, chosen, facts["seeds"][0])
    if not np.array_equal(split.parts, parts):
        raise ArtefactError(f"{state} was split by another version of dynmm, and this one splits otherwise; fit again")
    return split


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
