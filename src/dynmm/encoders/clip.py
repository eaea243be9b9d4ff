"""Pictures through CLIP's image side, and words for them through its text side.

Radford et al., Learning Transferable Visual Models From Natural Language Supervision (2021).
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.catalogue.content import IMAGE, Content, Modality, Picture
from dynmm.encoders.encoder import Encoded
from dynmm.encoders.pretrained import weights_folder, weights_hash
from dynmm.encoders.transformer import check_encoding, load_frozen, read_config, read_part, refused
from dynmm.encoders.zeroshot import DEFAULT_WORDS, ZeroShot
from dynmm.errors import ConfigError, MissingExtraError
from dynmm.precision import Precision, autocast, product_precision
from dynmm.transformers_library import transformers

logger = logging.getLogger(__name__)

_VERSION = "clip-1"
_EXTRA = "vision"
_BOTH_SIDES, _IMAGE_SIDE = "clip", "clip_vision_model"
#: A picture more than so many times longer than wide is cut to its middle before it is made smaller. CLIP looks
#: at the middle square alone, and a strip scaled up to its shortest side would fill the memory.
LONGEST = 4


class Clip:
    """The projected image embedding, of length one; 512 numbers for ViT-B/32.

    source: a folder or a hub name, as `transformers` saves a CLIPModel or a CLIPVisionModelWithProjection, with
    its preprocessor_config.json. precision: of the matrix products. words: what to look for, see
    `dynmm.encoders.zeroshot`; `DEFAULT_WORDS` if None and the model has a text side; none if empty. Raises
    ConfigError where the source holds no such model, MissingExtraError without the libraries.
    """

    modality: Modality = IMAGE

    def __init__(
        self,
        source: str | Path,
        device: str = "cpu",
        precision: Precision = "auto",
        words: Sequence[str] | None = None,
    ) -> None:
        folder = weights_folder(source, extra=_EXTRA)
        self._device = torch.device(device)
        self._precision = product_precision(precision, self._device)
        processor_class = _processor_class()
        self._model, tokenizer = _load(folder, self._device, words)
        self._processor = read_part(processor_class, folder, "preprocessor_config.json of CLIP")
        chosen = DEFAULT_WORDS if words is None else tuple(words)
        with refused(f"the text side of {folder} does not read words"):
            self._words = ZeroShot(self._model, tokenizer, chosen) if tokenizer is not None else None
        # The text side has said what it had to say.
        self._model.text_model = None
        self.attribute_names: tuple[str, ...] = () if self._words is None else self._words.names
        self.width = int(self._model.visual_projection.out_features)
        asked = hashlib.sha256("\n".join(chosen if self._words else ()).encode()).hexdigest()
        # Without the precision: it moves the last digits alone, and new items may be encoded on another machine.
        self.identity = f"{_VERSION}/{weights_hash(folder)}/{asked}"
        check_encoding(self, Picture(np.zeros((24, 32, 3), np.uint8), 32, 24), folder)

    @torch.inference_mode()
    def encode(self, contents: Sequence[Content]) -> Encoded:
        """contents: B pictures, which go through the model together.

        Returns vectors (B, W) of length one, and attributes (B, A) where there are words.
        """
        pixels = torch.from_numpy(self.prepared(contents)).to(self._device)
        with autocast(self._device, self._precision):
            seen = self._model.vision_model(pixel_values=pixels).pooler_output
            projected = self._model.visual_projection(seen)
        pictures = torch.nn.functional.normalize(projected.float(), dim=-1)
        named = None if self._words is None else self._words.probabilities(pictures).cpu().numpy()
        return Encoded(pictures.cpu().numpy(), named)

    def prepared(self, contents: Sequence[Content]) -> NDArray[np.float32]:
        """What the model sees, (B, 3, height, width): scaled, cut and normalised as the model's folder says."""
        pictures = []
        for content in contents:
            assert isinstance(content, Picture), "an image encoder is given pictures"
            pictures.append(_middle(content.pixels))
        prepared = self._processor(images=pictures, input_data_format="channels_last", return_tensors="np")
        return np.asarray(prepared["pixel_values"], dtype=np.float32)


def _middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    tall, wide = min(height, LONGEST * width), min(width, LONGEST * height)
    top, left = (height - tall) // 2, (width - wide) // 2
    return pixels[top : top + tall, left : left + wide]


def _processor_class() -> Any:
    """The processor that computes with Pillow, on any installation alike; others differ by rounding."""
    try:
        importlib.import_module("PIL")
    except ImportError as error:
        raise MissingExtraError(f"pictures need Pillow: pip install 'dynmm[{_EXTRA}]'") from error
    library = transformers(_EXTRA)
    try:
        return importlib.import_module("transformers.models.clip.image_processing_pil_clip").CLIPImageProcessorPil
    except ImportError:
        # Before version 5 this name stands for that processor.
        return library.CLIPImageProcessor


def _load(folder: Path, device: torch.device, words: Sequence[str] | None) -> tuple[Any, Any]:
    """The model, and its tokenizer where words are wanted and there is a text side to read them."""
    library = transformers(_EXTRA)
    config = read_config(folder, (_BOTH_SIDES, _IMAGE_SIDE), "CLIP", _EXTRA)
    if config.model_type == _BOTH_SIDES:
        model = load_frozen(library.CLIPModel, folder, device)
        wanted = words is None or len(words) > 0
        return model, read_part(library.AutoTokenizer, folder, "tokenizer of CLIP") if wanted else None
    if words:
        raise ConfigError(f"{folder} holds CLIP's image side alone, which cannot read words; leave the words out")
    logger.info("%s holds CLIP's image side alone: pictures get no words from it", folder)
    return load_frozen(library.CLIPVisionModelWithProjection, folder, device), None
