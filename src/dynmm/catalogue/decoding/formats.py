"""The explicit table of formats. Adding one is a file with a decoding function, and one line here."""

from __future__ import annotations

from dataclasses import dataclass

from dynmm.catalogue.content import AUDIO, IMAGE, Modality


@dataclass(frozen=True)
class Format:
    """One format of files.

    signature: (offset, bytes) pairs that all hold for a file of this format. function: ``module:name``,
    imported in the decoding process alone; called with the bytes, the format's name and the limits
    (`limits.Limits`), it gives a `limits.Decoded` or raises `limits.CannotDecode`. modules: imported before the first
    item. extra: the extra of dynmm that installs them. extensions: of files, without the dot.
    """

    name: str
    modality: Modality
    signature: tuple[tuple[int, bytes], ...]
    function: str
    modules: tuple[str, ...]
    extra: str
    extensions: tuple[str, ...]

    def matches(self, raw: bytes) -> bool:
        return all(raw[at : at + len(mark)] == mark for at, mark in self.signature)


_PICTURE = "dynmm.catalogue.decoding.pictures:decode"
_SOUND = "dynmm.catalogue.decoding.sounds:decode"
_PIL = ("PIL.Image",)
_SOUNDFILE = ("soundfile", "scipy.signal")

FORMATS: tuple[Format, ...] = (
    Format("jpeg", IMAGE, ((0, b"\xff\xd8\xff"),), _PICTURE, _PIL, "vision", ("jpg", "jpeg")),
    Format("png", IMAGE, ((0, b"\x89PNG\r\n\x1a\n"),), _PICTURE, _PIL, "vision", ("png",)),
    Format("webp", IMAGE, ((0, b"RIFF"), (8, b"WEBP")), _PICTURE, _PIL, "vision", ("webp",)),
    Format("wav", AUDIO, ((0, b"RIFF"), (8, b"WAVE")), _SOUND, _SOUNDFILE, "audio", ("wav",)),
    Format("flac", AUDIO, ((0, b"fLaC"),), _SOUND, _SOUNDFILE, "audio", ("flac",)),
    Format("ogg", AUDIO, ((0, b"OggS"),), _SOUND, _SOUNDFILE, "audio", ("ogg", "oga")),
)


def format_of(raw: bytes, formats: tuple[Format, ...] = FORMATS) -> Format | None:
    """The format that the bytes begin like, whatever the file is called; None where it is none of the table."""
    return next((one for one in formats if one.matches(raw)), None)


def format_named(label: str, formats: tuple[Format, ...] = FORMATS) -> Format | None:
    """The format of a label or an extension such as ``jpg``, ``.PNG`` or ``image/jpeg``."""
    word = label.strip().lower().rpartition("/")[2].lstrip(".")
    return next((one for one in formats if word == one.name or word in one.extensions), None)


def mislabelled(label: str, raw: bytes, formats: tuple[Format, ...] = FORMATS) -> str | None:
    """In words, where the bytes are of another format than their label says; None where they agree or none is said."""
    found, said = format_of(raw, formats), format_named(label, formats)
    if found is None or not label or found is said:
        return None
    return f"is labelled {label} and is {found.name}; it was read as what it is"
