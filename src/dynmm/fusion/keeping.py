"""The joint stage on disk: weights, settings, standardisers, and the features that the latents were made of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from dynmm.catalogue.features import Attributes, Features, LeftOut
from dynmm.errors import ArtefactError, reason
from dynmm.fusion.content import Standardiser
from dynmm.fusion.joint import Joint
from dynmm.fusion.pretraining import Joined, build_joint
from dynmm.fusion.regressor import ContentRegressor
from dynmm.fusion.settings import FusionSettings
from dynmm.fusion.trust import Explained
from dynmm.protocols import SequenceTower
from dynmm.storage import named_disk_errors, write_json
from dynmm.training.reports import EpochReport

_WEIGHTS, _CARD = "weights.safetensors", "joint.json"
#: Files of the regressions on content, by their names in the card.
_REGRESSORS = {"regressor": "content-to-cf.safetensors", "guesser": "content-to-latent.safetensors"}

#: What early versions had in the identities of two encoders, and is no part of them.
_PRECISION = re.compile("^(clip-1|wav2vec2-1)/(?:float32|bfloat16)/")


def save_joint(joint: Joint, folder: Path) -> None:
    """Write what was fitted into an existing or new folder, added items left out. Raises StorageError."""
    joined = joint.joined
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with named_disk_errors(folder / _WEIGHTS):
        weights = {name: value.detach().cpu().contiguous() for name, value in joined.model.state_dict().items()}
        save_file(weights, folder / _WEIGHTS)
    regressors = {"regressor": joined.regressor, "guesser": joined.guesser}
    for name, file in _REGRESSORS.items():
        with named_disk_errors(folder / file):
            fitted = regressors[name]
            save_file({"weight": _plain(fitted.weight), "bias": _plain(fitted.bias)}, folder / file)
    save_features(joined.features, folder)
    for one, scaler in zip(joined.features, joined.standardisers, strict=True):
        with named_disk_errors(folder / f"standard-{one.modality}.safetensors"):
            save_file({"mean": _plain(scaler.mean)}, folder / f"standard-{one.modality}.safetensors")
    with named_disk_errors(folder / "counts.safetensors"):
        save_arrays({"counts": np.ascontiguousarray(joined.counts)}, folder / "counts.safetensors")
    card = {
        "settings": joined.settings.model_dump(mode="json"),
        "best_epoch": joined.best_epoch,
        "history": [asdict(report) for report in joined.history],
        "scales": [scaler.scale for scaler in joined.standardisers],
        "explained": asdict(joined.explained),
    }
    for name, fitted in regressors.items():
        card[name] = {"penalty": fitted.penalty, "explained": fitted.explained}
    write_json(folder / _CARD, card)


def load_joint(folder: Path, tower: SequenceTower, device: str | torch.device = "cpu") -> Joint:
    """Read what `save_joint` wrote. tower: of the backbone's shape, whose weights are replaced.

    Raises ArtefactError, which names the folder that cannot be used.
    """
    try:
        card = json.loads((folder / _CARD).read_bytes())
        settings = FusionSettings.model_validate(card["settings"])
        features = load_features(folder)
        counts = load_arrays(folder / "counts.safetensors")["counts"]
        means = [load_file(folder / f"standard-{one.modality}.safetensors")["mean"] for one in features]
        standardisers = tuple(Standardiser(mean, scale) for mean, scale in zip(means, card["scales"], strict=True))
        weights = load_file(folder / _WEIGHTS)
        model = build_joint(tower, weights["latents.collaborative"], [one.width for one in features], settings)
        model.load_state_dict(weights)
        regressor, guesser = (_regressor(folder / file, card[name], device) for name, file in _REGRESSORS.items())
        explained = Explained(tuple(card["explained"]["each"]), card["explained"]["together"])
        history = tuple(EpochReport(**report) for report in card["history"])
        joined = Joined(
            settings,
            features,
            standardisers,
            counts,
            model,
            regressor,
            guesser,
            explained,
            card["best_epoch"],
            history,
        )
        return Joint(joined, device=device)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ArtefactError(
            f"the joint stage in {folder} cannot be read: {reason(error)}; copy the run again, or fit it again"
        ) from error


def _regressor(file: Path, card: Mapping[str, float], device: str | torch.device) -> ContentRegressor:
    ridge = {name: value.to(device) for name, value in load_file(file).items()}
    return ContentRegressor(ridge["weight"], ridge["bias"], **card)


def save_features(features: Sequence[Features], folder: Path) -> None:
    """One file for each modality, vectors in half precision where that holds them, and a card of them all.

    Raises StorageError.
    """
    card: list[dict[str, Any]] = []
    for one in features:
        arrays: dict[str, np.ndarray] = {
            "vectors": _small(one.vectors),
            "present": one.present.astype(np.uint8),
            "quality": one.quality.astype(np.float32),
        }
        if one.attributes is not None:
            arrays["attributes"] = one.attributes.values.astype(np.float16)
        with named_disk_errors(folder / f"features-{one.modality}.safetensors"):
            save_arrays(arrays, folder / f"features-{one.modality}.safetensors")
        card.append(
            {
                "modality": one.modality,
                "encoder": one.encoder,
                "identity": one.identity,
                "attributes": None if one.attributes is None else list(one.attributes.names),
                "left_out": [asdict(line) for line in one.left_out],
            }
        )
    write_json(folder / "features.json", {"features": card})


def _small(vectors: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        halves = vectors.astype(np.float16)
    return halves if np.array_equal(halves, vectors) else vectors.astype(np.float32)


def load_features(folder: Path) -> tuple[Features, ...]:
    """Read what `save_features` wrote. Raises OSError, ValueError, KeyError, TypeError or SafetensorError."""
    found = []
    for line in json.loads((folder / "features.json").read_bytes())["features"]:
        arrays = load_arrays(folder / f"features-{line['modality']}.safetensors")
        named = None
        if line["attributes"] is not None:
            named = Attributes(tuple(line["attributes"]), arrays["attributes"].astype(np.float32))
        found.append(
            Features(
                line["modality"],
                line["encoder"],
                _PRECISION.sub(r"\1/", line["identity"]),
                arrays["vectors"].astype(np.float32),
                arrays["present"].astype(bool),
                arrays["quality"],
                named,
                tuple(LeftOut(**one) for one in line["left_out"]),
            )
        )
    return tuple(found)


def _plain(value: torch.Tensor) -> torch.Tensor:
    return value.detach().cpu().contiguous()
