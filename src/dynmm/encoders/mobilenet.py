"""Pictures through MobileNetV2 (Sandler et al. 2018) in TensorFlow Lite's format: small, fast, no text side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import IMAGE, Content, Modality, Picture
from dynmm.encoders.encoder import Encoded
from dynmm.encoders.tflite import LiteModel
from dynmm.errors import ConfigError, MissingExtraError

_VERSION = "mobilenet-1"


class MobileNet:
    """The 1280 pooled features before the classifier.

    source: the `.tflite` file, or a folder with exactly one. threads: of the interpreter. Raises ConfigError
    where that is no such model, MissingExtraError without Pillow or the runtime.
    """

    modality: Modality = IMAGE
    attribute_names: tuple[str, ...] = ()
    width = 1280

    def __init__(self, source: str | Path, threads: int = 1) -> None:
        self._model = LiteModel(Path(source), threads)
        shape = self._model.input_shape
        if len(shape) != 4 or shape[3] != 3 or self._model.input_type != np.uint8:
            raise ConfigError(
                f"{self._model.file} takes {self._model.input_type} of shape {shape}, not 8-bit RGB pictures"
            )
        self._size = (shape[2], shape[1])
        self._features = self._model.pooled(self.width)
        self.identity = f"{_VERSION}/{self._model.sha256}"

    def encode(self, contents: Sequence[Content]) -> Encoded:
        """contents: B pictures. Returns vectors (B, 1280)."""
        return Encoded(np.stack([self._encode(content) for content in contents]))

    def _encode(self, content: Content) -> NDArray[np.float32]:
        assert isinstance(content, Picture), "an image encoder is given pictures"
        self._model.run(resized(content.pixels, self._size)[None])
        return self._model.tensor(self._features)


def resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The whole picture in another size, its proportions given up. size: (width, height) in pixels."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("resizing pictures needs Pillow: pip install 'dynmm[vision]'") from error
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
