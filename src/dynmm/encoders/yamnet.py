"""Sounds through YAMNet (AudioSet's 521 classes) in TensorFlow Lite's format, from spectra computed here."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dynmm.catalogue.content import AUDIO, Content, Modality, Sound
from dynmm.encoders.encoder import Encoded
from dynmm.encoders.mel import frames, hann, mel_bands
from dynmm.encoders.tflite import LiteModel
from dynmm.errors import ConfigError

_VERSION = "yamnet-1"
#: In samples at 16 kHz: windows of 25 ms every 10 ms.
WINDOW, HOP, TRANSFORM = 400, 160, 512
BANDS, LOWEST, HIGHEST, OFFSET = 64, 125.0, 7500.0, 0.001
#: In windows: a patch is .96 s long, and the next begins half of that later.
PATCH, PATCH_HOP = 96, 48
CLASSES = 521
#: As YAMNet's authors call the table of the names of its classes.
NAMES = "yamnet_class_map.csv"


class YamNet:
    """1024 pooled features, the mean over patches of .96 s, and the scores of the classes where they have names.

    source: the `.tflite` file that takes spectra, or a folder with exactly one. With the table of class names,
    `yamnet_class_map.csv`, beside it, the 521 scores are attributes; without, there are none. threads: of the
    interpreter. Raises ConfigError where that is no such model, MissingExtraError without the runtime.
    """

    modality: Modality = AUDIO
    width = 1024

    def __init__(self, source: str | Path, threads: int = 1) -> None:
        self._model = LiteModel(Path(source), threads)
        if self._model.input_shape != (1, PATCH, BANDS) or self._model.input_type != np.float32:
            raise ConfigError(
                f"{self._model.file} takes {self._model.input_type} of shape {self._model.input_shape}, "
                f"not spectra of shape (1, {PATCH}, {BANDS})"
            )
        self._features = self._model.pooled(self.width)
        self.attribute_names = class_names(self._model.file.with_name(NAMES))
        named = hashlib.sha256("\n".join(self.attribute_names).encode()).hexdigest()
        self.identity = f"{_VERSION}/{self._model.sha256}/{named}"

    def encode(self, contents: Sequence[Content]) -> Encoded:
        """contents: B sounds. Returns vectors (B, 1024), and with names attributes (B, 521)."""
        rows = [self._encode(content) for content in contents]
        vectors = np.stack([features for features, _ in rows])
        return Encoded(vectors, np.stack([scores for _, scores in rows]) if self.attribute_names else None)

    def _encode(self, content: Content) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        assert isinstance(content, Sound), "an audio encoder is given sounds"
        features, scores = [], []
        for patch in patches(content.samples):
            self._model.run(patch[None])
            features.append(self._model.tensor(self._features))
            scores.append(self._model.tensor(self._model.output))
        return np.mean(features, axis=0), np.clip(np.mean(scores, axis=0), 0, 1)


def patches(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log mel spectra, (P, 96, 64) with P at least 1; silence is added to the end until the last patch is whole."""
    spectra = log_mel(_whole(samples))
    return np.stack([spectra[start : start + PATCH] for start in range(0, len(spectra) - PATCH + 1, PATCH_HOP)])


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(S,) samples at 16 kHz to (F, 64): the logarithm of the magnitudes, by mel band."""
    spectrum = np.abs(fft.rfft(frames(samples, WINDOW, HOP) * hann(WINDOW), TRANSFORM, axis=1))
    mel = spectrum @ mel_bands(BANDS, LOWEST, HIGHEST, TRANSFORM)
    logarithms: NDArray[np.float32] = np.log(mel + np.float32(OFFSET))
    return logarithms


def _whole(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    first = WINDOW + (PATCH - 1) * HOP
    more = -(-max(0, len(samples) - first) // (PATCH_HOP * HOP))
    return np.pad(samples, (0, first + more * PATCH_HOP * HOP - len(samples)))


def class_names(table: Path) -> tuple[str, ...]:
    """The column `display_name`, a name for each class, or nothing where there is no table. Raises ConfigError."""
    if not table.is_file():
        return ()
    with table.open(encoding="utf-8", newline="") as file:
        names = tuple(row.get("display_name") or "" for row in csv.DictReader(file))
    if len(names) != CLASSES or "" in names or len(set(names)) != CLASSES:
        raise ConfigError(f"{table} should name {CLASSES} different classes in its column display_name")
    return names
