"""Pictures and sounds of single items for the report: decoded safely, made small, and written anew."""

from __future__ import annotations

from collections.abc import Sequence

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import SAMPLE_RATE, Modality, Picture, Sound
from dynmm.catalogue.decoding.decoder import Decoder
from dynmm.catalogue.decoding.settings import DecodingSettings
from dynmm.evaluation.sensed import Exhibit
from dynmm.simulation.pictures import png
from dynmm.simulation.sounds import wav

#: Longer side of a picture, in pixels, and length of a sound, in seconds.
SIDE, SECONDS = 160, 5


def exhibit(catalogues: Sequence[Catalogue], modality: Modality, item: str, caption: str) -> Exhibit | None:
    """An item's first picture or sound out of the catalogue that has one; None where none can be decoded.

    The report shows what the decoder gave and never the file itself, which may be large or hostile.
    """
    with Decoder(DecodingSettings(side=SIDE)) as decoder:
        for catalogue in catalogues:
            if catalogue.media is None:
                continue
            entries = [one for one in catalogue.media.entries(modality) if one.id == item]
            files = (raw for _, raw in catalogue.media.read(entries))
            for content in decoder.decode(modality, files):
                if isinstance(content, Picture):
                    return Exhibit(caption, "image/png", png(content.pixels))
                if isinstance(content, Sound):
                    return Exhibit(caption, "audio/wav", wav(content.samples[: SECONDS * SAMPLE_RATE].astype(float)))
    return None
