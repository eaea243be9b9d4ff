"""Sounds through Wav2Vec2, the mean over time.

Baevski et al., wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations (2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.catalogue.content import AUDIO, SAMPLE_RATE, Content, Modality, Sound
from dynmm.encoders.encoder import Encoded
from dynmm.encoders.pretrained import weights_folder, weights_hash
from dynmm.encoders.transformer import check_encoding, load_frozen, read_config, read_part
from dynmm.errors import ConfigError
from dynmm.precision import Precision, autocast, product_precision
from dynmm.transformers_library import transformers

_VERSION = "wav2vec2-2"
_EXTRA = "audio"
#: Samples, padding included, that go through the model together: a minute. The first layer makes 400 bytes of each.
TOGETHER = 60 * SAMPLE_RATE

Row = tuple[int, NDArray[np.float32]]


class _InFloat32(torch.nn.Module):
    """A layer that computes in float32 whatever the others do.

    Grouped convolutions in bfloat16 come out wrong by some percent on processors with AMX (PyTorch 2.13), and by how
    much hangs on the padding, and so on the other sounds of a batch.
    """

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """As the layer's."""
        with torch.autocast(hidden.device.type, enabled=False):
            found: torch.Tensor = self._layer(hidden.float())
        return found


class Wav2Vec2:
    """The mean of the last hidden states over a sound; 768 numbers for Base.

    source: a folder or a hub name, as `transformers` saves a Wav2Vec2Model, or one with a head on top, with its
    preprocessor_config.json. precision: of the matrix products. Raises ConfigError where the source holds no such
    model, MissingExtraError without the library.
    """

    modality: Modality = AUDIO
    attribute_names: tuple[str, ...] = ()

    def __init__(self, source: str | Path, device: str = "cpu", precision: Precision = "auto") -> None:
        folder = weights_folder(source, extra=_EXTRA)
        self._device = torch.device(device)
        self._precision = product_precision(precision, self._device)
        library = transformers(_EXTRA)
        self._config = read_config(folder, ("wav2vec2",), "Wav2Vec2", _EXTRA)
        self._extractor = read_part(library.Wav2Vec2FeatureExtractor, folder, "preprocessor_config.json of Wav2Vec2")
        if self._extractor.sampling_rate != SAMPLE_RATE:
            raise ConfigError(
                f"{folder} wants sounds at {self._extractor.sampling_rate} Hz; sounds come at {SAMPLE_RATE} Hz"
            )
        # Only training hides parts of a sound behind this vector.
        self._model = load_frozen(library.Wav2Vec2Model, folder, self._device, may_lack=("masked_spec_embed",))
        self._model.encoder.pos_conv_embed = _InFloat32(self._model.encoder.pos_conv_embed)
        self.width = int(getattr(self._config, "output_hidden_size", 0) or self._config.hidden_size)
        # Without the precision: it moves the last digits alone, and new items may be encoded on another machine.
        self.identity = f"{_VERSION}/{weights_hash(folder)}"
        check_encoding(self, Sound(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE, 1), folder)

    @property
    def shortest(self) -> int:
        """Samples that the model needs for one frame. Shorter sounds are followed by silence."""
        samples = 1
        for kernel, stride in zip(self._config.conv_kernel[::-1], self._config.conv_stride[::-1], strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    def encode(self, contents: Sequence[Content]) -> Encoded:
        """contents: B sounds. Returns vectors (B, W)."""
        vectors = np.empty((len(contents), self.width), dtype=np.float32)
        for rows in self._groups(contents):
            vectors[[place for place, _ in rows]] = self._encode([samples for _, samples in rows])
        return Encoded(vectors)

    def _groups(self, contents: Sequence[Content]) -> Iterator[list[Row]]:
        """Rows that go through the model together, shortest first.

        Models with a group norm average over time, padding included, and those with an adapter mix neighbours
        after the mask was applied: only equal lengths go together there.
        """
        rows = [(place, self._long_enough(content)) for place, content in enumerate(contents)]
        rows.sort(key=lambda row: len(row[1]))
        padded = self._config.feat_extract_norm == "layer" and not self._config.add_adapter
        group: list[Row] = []
        for row in rows:
            if group:
                alike = padded or len(group[0][1]) == len(row[1])
                if not alike or (len(group) + 1) * len(row[1]) > TOGETHER:
                    yield group
                    group = []
            group.append(row)
        yield group

    def _long_enough(self, content: Content) -> NDArray[np.float32]:
        assert isinstance(content, Sound), "an audio encoder is given sounds"
        return np.pad(content.samples, (0, max(0, self.shortest - len(content.samples))))

    @torch.inference_mode()
    def _encode(self, sounds: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(B, W) of sounds that may go together."""
        given = self._extractor(
            sounds, sampling_rate=SAMPLE_RATE, padding=True, return_attention_mask=True, return_tensors="pt"
        )
        mask = given["attention_mask"].to(self._device)
        whole = bool(mask.all())
        with autocast(self._device, self._precision):
            hidden = self._model(
                given["input_values"].to(self._device), attention_mask=None if whole else mask
            ).last_hidden_state.float()
        real = torch.ones_like(hidden[..., :1]) if whole else self._real_frames(mask, hidden.shape[1])
        mean = (hidden * real).sum(dim=1) / real.sum(dim=1)
        vectors: NDArray[np.float32] = mean.cpu().numpy()
        return vectors

    def _real_frames(self, mask: torch.Tensor, frames: int) -> torch.Tensor:
        """1 for frames that were made of real samples alone, (B, frames, 1)."""
        lengths = mask.sum(dim=1)
        for kernel, stride in zip(self._config.conv_kernel, self._config.conv_stride, strict=True):
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
        return (torch.arange(frames, device=mask.device) < lengths[:, None]).float()[..., None]
