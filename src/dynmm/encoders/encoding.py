"""One modality of a catalogue on its way through one encoder, with the cache beside it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Content, Modality
from dynmm.catalogue.decoding.decoder import Decoder
from dynmm.catalogue.decoding.formats import mislabelled
from dynmm.catalogue.decoding.refused import Refused
from dynmm.catalogue.decoding.settings import DecodingSettings
from dynmm.catalogue.features import Attributes, Features, LeftOut
from dynmm.catalogue.quality import quality
from dynmm.encoders.cache import Known, Shelf, content_key
from dynmm.encoders.checking import encode_checked
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.pooling import pool

#: Raise one when decoding or quality change what they give: what the cache holds of it is then made again.
READING_VERSIONS: dict[Modality, int] = {TEXT: 1, IMAGE: 1, AUDIO: 2}

#: (modality, contents done, contents in all)
Progress = Callable[[Modality, int, int], None]


@dataclass
class _Place:
    """One text, picture or sound: whose it is, and what became of it once that is known.

    note: what is told of it where it was read.
    """

    item: int
    known: Known | None = None
    note: str | None = None


class Encoding:
    """Made for one pass over the contents of one modality."""

    def __init__(
        self,
        catalogue: Catalogue,
        encoder: Encoder,
        name: str,
        batch: int,
        on_progress: Progress | None = None,
        decoding: DecodingSettings | None = None,
    ) -> None:
        """name: of the encoder, for its features. batch: contents that are encoded together."""
        self.decoding = decoding or DecodingSettings()
        self._catalogue, self._encoder, self._name, self._batch = catalogue, encoder, name, batch
        self._modality: Modality = encoder.modality
        self._on_progress = on_progress
        self._places: list[_Place] = []
        # Contents under way: the places of each, and the order in which they will come back.
        self._waiting: dict[bytes, list[_Place]] = {}
        self._order: deque[bytes] = deque()
        self._total = self._done = self._told = 0

    def features(self, shelf: Shelf) -> Features:
        """The features of all items, from the shelf, or made now and put there batch by batch."""
        if self._modality == TEXT:
            self._run((raw.decode("utf-8", "surrogatepass") for raw in self._lacking(shelf)), shelf)
        else:
            # The decoder reads a few files ahead, so that it decodes while the encoder encodes.
            with Decoder(self.decoding) as decoder:
                self._run(decoder.decode(self._modality, self._lacking(shelf)), shelf)
        self._done = self._total
        self._tell()
        return self._collected()

    def _texts(self) -> Iterator[tuple[int, bytes, None]]:
        """Item and text of all that are not empty, short ones first, so that a batch is of about one length."""
        texts = [(item, text) for item, text in enumerate(self._catalogue.texts) if text and text.strip()]
        self._total = len(texts)
        for item, text in sorted(texts, key=lambda pair: len(pair[1])):
            yield item, text.encode("utf-8", "surrogatepass"), None

    def _media(self) -> Iterator[tuple[int, bytes, str | None]]:
        """Item, bytes and note of every frame or track that can be read."""
        media = self._catalogue.media
        assert media is not None, "a modality without content is not encoded"
        entries = media.entries(self._modality)
        self._total = len(entries)
        for entry, raw in media.read(entries, int(self.decoding.max_megabytes * 1e6)):
            yield entry.item, raw, mislabelled(entry.format, raw)

    def _lacking(self, shelf: Shelf) -> Iterator[bytes]:
        """The contents that the shelf does not know, each once."""
        for item, raw, note in self._texts() if self._modality == TEXT else self._media():
            key = content_key(raw)
            place = _Place(item, shelf.get([key]).get(key), note)
            self._places.append(place)
            if place.known is not None:
                self._done += 1
                self._tell()
            elif key in self._waiting:
                self._waiting[key].append(place)
            else:
                self._waiting[key] = [place]
                self._order.append(key)
                yield raw

    def _run(self, contents: Iterator[Content | Refused], shelf: Shelf) -> None:
        batch: dict[bytes, Content | Refused] = {}
        for content in contents:
            batch[self._order.popleft()] = content
            if len(batch) >= self._batch:
                self._settle(batch, shelf)
                batch = {}
        if batch:
            self._settle(batch, shelf)

    def _settle(self, batch: dict[bytes, Content | Refused], shelf: Shelf) -> None:
        """Encode a batch, remember it, and tell the places that wait for it."""
        made = self._encoded(batch)
        passing = {key for key, one in batch.items() if isinstance(one, Refused) and not one.lasting}
        made |= shelf.put({key: known for key, known in made.items() if key not in passing})
        for key, known in made.items():
            places = self._waiting.pop(key)
            for place in places:
                place.known = known
            self._done += len(places)
        self._tell()

    def _encoded(self, batch: dict[bytes, Content | Refused]) -> dict[bytes, Known]:
        known = {key: Known(None, refusal=one.reason) for key, one in batch.items() if isinstance(one, Refused)}
        contents = {key: one for key, one in batch.items() if not isinstance(one, Refused)}
        if not contents:
            return known
        made = encode_checked(self._encoder, self._name, list(contents.values()))
        for row, (key, content) in enumerate(contents.items()):
            vector = np.array(made.vectors[row], dtype=np.float32)
            words = None if made.attributes is None else np.array(made.attributes[row], dtype=np.float32)
            if np.isfinite(vector).all():
                known[key] = Known(vector, quality(content), words)
            else:
                known[key] = Known(None, refusal=f"gets numbers from {self._name} that are not finite")
        return known

    def _tell(self) -> None:
        """Progress, for each batch and at the end."""
        due = self._done - self._told >= self._batch or self._done == self._total > self._told
        if self._on_progress is not None and due:
            self._told = self._done
            self._on_progress(self._modality, self._done, self._total)

    def _collected(self) -> Features:
        items, known, vectors = [], [], []
        left_out, notes = [], []
        for place in self._places:
            assert place.known is not None, "every content came back"
            if place.known.vector is None:
                left_out.append(LeftOut(self._catalogue.ids[place.item], self._modality, place.known.refusal))
                continue
            if place.note is not None:
                notes.append(LeftOut(self._catalogue.ids[place.item], self._modality, place.note))
            items.append(place.item)
            known.append(place.known)
            vectors.append(place.known.vector)
        if self._catalogue.media is not None:
            left_out += [line for line in self._catalogue.media.left_out if line.modality == self._modality]
        names = self._encoder.attribute_names
        words = [one.attributes for one in known if one.attributes is not None]
        pooled = pool(
            np.array(items, dtype=np.int64),
            np.stack(vectors) if vectors else np.zeros((0, self._encoder.width), dtype=np.float32),
            np.array([one.quality for one in known], dtype=np.float32),
            (np.stack(words) if words else np.zeros((0, len(names)), dtype=np.float32)) if names else None,
            self._catalogue.n_items,
        )
        return Features(
            self._modality,
            self._name,
            self._encoder.identity,
            pooled.vectors,
            pooled.present,
            pooled.quality,
            None if pooled.attributes is None else Attributes(names, pooled.attributes),
            tuple(left_out),
            tuple(notes),
        )
