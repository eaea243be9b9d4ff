"""Configuration in, concrete parts out; runs saved and loaded. The only file that knows concrete classes."""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynmm.artefact import CANDIDATES, MANIFEST, MODEL, STATE, open_sealed, seal
from dynmm.backbone.settings import BackboneSettings, DataShape, resolve
from dynmm.backbone.system import Backbone, BackboneSystem, fit_backbone
from dynmm.backbone.warm import WarmBackbone
from dynmm.card import card
from dynmm.config import Config, DataSettings
from dynmm.errors import ArtefactError, ConfigError, DataError, MissingExtraError, StorageError, TamperedArtefact
from dynmm.evaluation import protocols
from dynmm.evaluation.retrained import DAY_MS, Retrained
from dynmm.interactions.contenthash import data_sha256
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import TEST, UNUSED, Split, make_split
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.recommender import Recommender
from dynmm.runfiles import read_catalogue, read_dataset, read_learned, write_catalogue, write_events, write_learned
from dynmm.stages import StageCache
from dynmm.storage import named_disk_errors, new_folder, write_bytes, write_json
from dynmm.system import System
from dynmm.training.reports import EpochReport
from dynmm.types import Events

#: The whole of what is built, with shipped defaults; and its rungs.
WHOLE = "dynmm"
CONFIG_FILE = "config.json"
BACKBONE_DIR = "backbone"
CARD_FILE = "README.md"
#: What may lie in the folder of a run, and goes when another run replaces it.
_RUN_PARTS = {MODEL, STATE, CANDIDATES, ".DS_Store"}


@dataclass(frozen=True)
class FitOptions:
    """What changes how a fit runs but not what it yields.

    device: auto, cpu, cuda or mps. cache: folder of the stage cache, None for the user's. on_epoch: called
    after every epoch. on_progress: called with the share of the running epoch that is done.
    """

    device: str = "auto"
    cache: Path | None = None
    on_epoch: Callable[[EpochReport], None] | None = None
    on_progress: Callable[[float], None] | None = None


@dataclass(frozen=True)
class Fitted:
    """A fit: the recommender, what was held out, and how training went.

    curve: epochs of the fit that validation selects from. refit: of the one after it on all that may train,
    empty where the selected fit is the final one.
    """

    recommender: Recommender
    split: Split
    curve: tuple[EpochReport, ...]
    refit: tuple[EpochReport, ...] = ()


def fit(
    data: Dataset | str | Path,
    config: Config | Mapping[str, Any] | None,
    *,
    split: str | None = None,
    seed: int = 0,
    options: FitOptions | None = None,
) -> Fitted:
    """Split the data, fit every stage, measure on validation. See `Recommender.fit`."""
    chosen, options = _named(Config.of(config), split), options or FitOptions()
    parts = make_split(_dataset(data, chosen), chosen.split, seed)
    settings = resolve(chosen.backbone, DataShape.of(parts.train))
    selected, final = _backbones(parts, settings, seed, options)
    curve = selected.pretrained.history
    used = chosen.model_copy(update={"backbone": settings})
    facts = {
        "data": {"name": parts.source.info.name, "sha256": data_sha256(parts.source), "counts": parts.counts},
        "split": {"name": parts.name, "variant": parts.variant, "description": parts.description},
        "notes": [*parts.notes, *_order_note(parts.source)],
        "left_out": dict(parts.source.left_out),
        "config": used.model_dump(mode="json"),
        "seeds": [seed],
        "curve": [[one.epoch, one.loss, one.validation, one.seconds] for one in curve],
        # Of the selected fit: a refit has trained on the very answers.
        "validation": _validate(_whole(selected), parts),
        "refitted": final is not selected,
        "packages": _packages(),
        "dynmm": importlib.metadata.version("dynmm"),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    refit = final.pretrained.history if final is not selected else ()
    return Fitted(Recommender(_whole(final), known_events(parts), facts, parts), parts, curve, refit)


def _named(config: Config, split: str | None) -> Config:
    """The configuration under the split that the caller names, which goes before `split.name`."""
    if split is None:
        return config
    return Config.of({**config.model_dump(), "split": {**config.split.model_dump(), "name": split}})


def _order_note(source: Dataset) -> list[str]:
    if source.has_order:
        return []
    return ["the order of a user's events is not known: they train in the order of the rows, which may mean nothing"]


def known_events(split: Split) -> Dataset:
    """What a recommender fitted under this split may know of its users: all but the test part."""
    return split.source.keep((split.parts != TEST) & (split.parts != UNUSED), validation=None)


def _dataset(data: Dataset | str | Path, config: Config) -> Dataset:
    if isinstance(data, Dataset):
        if config.data != DataSettings():
            raise ConfigError(
                "data.* filters rows while a folder is read, and this is a data set in memory; "
                "filter it with Dataset.from_frames or pass the folder"
            )
        return data
    if not isinstance(data, str | Path):
        raise DataError(f"a {type(data).__name__} is not a data set; make one with Dataset.from_frames")
    chosen = config.data
    return Dataset.load(data, min_rating=chosen.min_rating, kinds=chosen.kinds, skip_bad=chosen.skip_bad)


def _backbones(split: Split, settings: BackboneSettings, seed: int, options: FitOptions) -> tuple[Backbone, Backbone]:
    """The one selected on validation, and the final one: refitted on all that may train where the split says so."""
    fitted = partial(
        fit_backbone,
        device=pick_device(options.device),
        cache=StageCache(options.cache),
        on_epoch=options.on_epoch,
        on_progress=options.on_progress,
    )
    selected = fitted(split.train, settings, seed)
    if split.refit_train is None:
        return selected, selected
    return selected, fitted(split.refit_train, settings, seed, epochs=selected.pretrained.best_epoch, fold="refit")


def _whole(backbone: Backbone) -> BackboneSystem:
    system = BackboneSystem(backbone=backbone)
    system.name = WHOLE
    return system


def retrained_backbone(recommender: Recommender, split: Split, name: str, every_days: float) -> System:
    """The run's own backbone, trained further on all events so far every few days of a stream, at most 60 times."""
    system = recommender.system
    assert isinstance(system, BackboneSystem), "a recommender is assembled here"
    assert split.stream is not None, "refits follow a stream"
    assert split.stream.timestamps is not None, "streams have timestamps"
    days = float(split.stream.timestamps[-1] - split.stream.timestamps[0]) / DAY_MS
    seed = int(recommender.facts["seeds"][0])
    retrained = Retrained(lambda: WarmBackbone(system.backbone, seed, name), every_days, stream_days=days, name=name)
    retrained.fit(known_events(split))
    return retrained


def pick_device(wanted: str) -> torch.device:
    """The device by that name. auto: CUDA where there is one, else the CPU. Raises ConfigError."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(wanted, False):
        raise ConfigError(f"device {wanted!r} is not to be had on this machine; use --device auto")
    return torch.device(wanted)


def _validate(system: System, split: Split) -> dict[str, Any]:
    """What selection saw, with intervals. It chose the epoch, so it flatters: the test part is what counts."""
    if not len(split.validation):
        return {}
    exam = protocols.full(split.train, split.validation)
    return dict(protocols.run(exam, {WHOLE: [system]}).to_json()["systems"][WHOLE])


def _packages() -> dict[str, str]:
    names = ("numpy", "polars", "torch", "safetensors", "pydantic")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def check_target(folder: Path) -> None:
    """Refuse, before any work, a folder that a run must not replace or that cannot be made.

    Raises DataError and StorageError.
    """
    near = next(one for one in folder.absolute().parents if one.exists())
    if not near.is_dir() or not os.access(near, os.W_OK):
        raise StorageError(f"{folder} cannot be made: {near} is not a folder that you may write to; choose another")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / MODEL / MANIFEST).is_file()):
        raise DataError(f"{folder} exists and is not a run; name a new folder, so that nothing of yours is replaced")
    foreign = sorted(set(os.listdir(folder)) - _RUN_PARTS) if folder.is_dir() else []
    if foreign:
        raise DataError(f"{folder / foreign[0]} is no part of the run and would be lost; move it away first")


def save(recommender: Recommender, folder: Path) -> None:
    """Write `model/` and, where there are users, `state/`; the whole folder takes its place at once.

    Raises StorageError where the disk refuses, DataError where something else lies there, and ArtefactError
    for a published model that has learned: what it learned would be lost.
    """
    check_target(folder)
    if recommender.split is None and recommender.learned:
        raise ArtefactError(
            "a published model has no state/ in which to keep what it has learned; learn with the run that it came from"
        )
    with new_folder(folder) as beside:
        _write_model(recommender, beside / MODEL)
        if recommender.split is not None:
            _write_state(recommender, recommender.split, beside / STATE)


def _write_model(recommender: Recommender, folder: Path) -> None:
    system = recommender.system
    assert isinstance(system, BackboneSystem), "a recommender is assembled here"
    facts = dict(recommender.facts)
    with named_disk_errors(folder):
        folder.mkdir()
    system.backbone.save(folder / BACKBONE_DIR)
    write_catalogue(folder, recommender.known)
    write_json(folder / CONFIG_FILE, facts.get("config", {}))
    write_bytes(folder / CARD_FILE, card(facts, recommender.known).encode())
    seal(folder, {key: value for key, value in facts.items() if key not in ("config", "files", "format")})


def _write_state(recommender: Recommender, split: Split, folder: Path) -> None:
    with named_disk_errors(folder):
        folder.mkdir()
    write_events(folder, split.source, split.parts)
    if recommender.learned:
        write_learned(folder, recommender.newcomers, recommender.learned)
    seal(folder, {"data_sha256": recommender.facts["data"]["sha256"]})


def load(source: str | Path, *, device: str = "auto") -> Recommender:
    """A run folder, a published model folder, or a hub name. Every byte is checked first.

    Raises ArtefactError, TamperedArtefact (naming the file) or NewerArtefact.
    """
    folder = Path(source)
    if not folder.exists() and _is_hub_name(str(source)):
        folder = _download(str(source))
    if not folder.is_dir():
        raise ArtefactError(f"there is no run at {folder}; `dynmm fit DATA --out {folder}` makes one")
    model = folder / MODEL if (folder / MODEL).is_dir() else folder
    facts = {**open_sealed(model), "config": _read_json(model / CONFIG_FILE)}
    system = _whole(Backbone.load(model / BACKBONE_DIR, pick_device(device)))
    state = folder / STATE
    if model is folder or not state.is_dir():
        nobody = Events(np.empty(0, np.int32), np.empty(0, np.int32))
        return Recommender(system, read_catalogue(model, Vocabulary(()), nobody), facts)
    if open_sealed(state)["data_sha256"] != facts["data"]["sha256"]:
        raise TamperedArtefact(f"{state} belongs to another model than {model}; restore the run from a copy")
    split = _read_split(model, state, facts)
    recommender = Recommender(system, known_events(split), facts, split)
    newcomers, learned = read_learned(state)
    recommender.welcome(newcomers)
    for batch in learned:
        recommender.replay(batch)
    return recommender


def _read_split(model: Path, state: Path, facts: Mapping[str, Any]) -> Split:
    """The split of the fit, made again from the saved data: the same data, configuration and seed give the same."""
    source, parts = read_dataset(model, state)
    chosen = Config.of(facts["config"]).split.model_copy(update={"k_core": 0})
    split = make_split(source, chosen, facts["seeds"][0])
    if not np.array_equal(split.parts, parts):
        raise ArtefactError(f"{state} was split by another version of dynmm, and this one splits otherwise; fit again")
    return split


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _is_hub_name(text: str) -> bool:
    owner, slash, name = text.partition("/")
    return bool(slash and owner and name) and "/" not in name and not text.startswith((".", "/", "~"))


def _hub() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ModuleNotFoundError:
        raise MissingExtraError("models on the hub need huggingface_hub: pip install 'dynmm[text]'") from None


def _download(name: str) -> Path:
    try:
        hub = _hub()
    except MissingExtraError as error:
        raise ArtefactError(f"there is no folder {name!r}. If it is a model on the hub: {error}") from None
    try:
        return Path(hub.snapshot_download(name))
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ArtefactError(
            f"there is no folder {name!r}, and the hub did not give a model of that name: {first}"
        ) from error


def push_to_hub(recommender: Recommender, repository: str, **options: Any) -> str:
    """Upload `model/` alone: no user id, no event. options: of `create_repo`, e.g. private=True."""
    hub = _hub()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / MODEL
        _write_model(recommender, folder)
        hub.create_repo(repository, exist_ok=True, **options)
        # A file of an earlier model that this one lacks would not belong to it.
        answer = hub.upload_folder(
            repo_id=repository, folder_path=str(folder), commit_message="dynmm model", delete_patterns="*"
        )
        return str(answer)
