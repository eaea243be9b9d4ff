"""Every encoder that a configuration can name. Adding one is a file, and one line here.

An encoder of one's own needs no line: ``package.module:Class`` names it, and it is made without arguments.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from dynmm.catalogue.content import AUDIO, IMAGE, MODALITIES, TEXT, Modality
from dynmm.encoders.encoder import Encoder
from dynmm.errors import ConfigError, DynmmError
from dynmm.precision import Precision

#: What an encoder can be made with, beside its source.
Argument = Literal["device", "precision", "words"]

AUTO, OFF, PRECOMPUTED = "auto", "off", "precomputed"
#: Each is a choice for every modality. `precomputed:NAME` takes one of several feature files.
EVERYWHERE = (AUTO, OFF, PRECOMPUTED)


@dataclass(frozen=True)
class Entry:
    """A line of the table.

    path: ``module:Class``. source: what must follow the name and a colon; None where nothing may. arguments:
    what else the class is made with, by name. needs: installed packages and weights, for a person to read.
    """

    path: str
    modality: Modality
    about: str
    needs: str
    source: str | None = None
    arguments: tuple[Argument, ...] = ()


_HERE = "dynmm.encoders"
_BOTH: tuple[Argument, ...] = ("device", "precision")

TABLE: dict[str, Entry] = {
    "minilm": Entry(f"{_HERE}.text:MiniLM", TEXT, "all-MiniLM-L6-v2, 384 numbers", "dynmm[text]", None, _BOTH),
    "sentence-transformers": Entry(
        f"{_HERE}.text:SentenceEncoder",
        TEXT,
        "any model of sentence-transformers",
        "dynmm[text]",
        "PATH_OR_NAME",
        _BOTH,
    ),
    "hashed-words": Entry(f"{_HERE}.words:HashedWords", TEXT, "words and pairs of words, hashed", "nothing"),
    "visual": Entry(f"{_HERE}.visual:Visual", IMAGE, "colour, light and texture, in words too", "dynmm[vision]"),
    "clip": Entry(
        f"{_HERE}.clip:Clip",
        IMAGE,
        "CLIP, with words for what it sees",
        "dynmm[vision], weights",
        "PATH_OR_NAME",
        (*_BOTH, "words"),
    ),
    "mobilenet": Entry(
        f"{_HERE}.mobilenet:MobileNet", IMAGE, "MobileNetV2, 1280 numbers", "dynmm[vision,tflite], weights", "PATH"
    ),
    "acoustic": Entry(f"{_HERE}.acoustic:Acoustic", AUDIO, "tempo, loudness and timbre, in words too", "dynmm[audio]"),
    "wav2vec2": Entry(
        f"{_HERE}.wav2vec2:Wav2Vec2", AUDIO, "Wav2Vec2, mean-pooled", "dynmm[audio], weights", "PATH_OR_NAME", _BOTH
    ),
    "yamnet": Entry(
        f"{_HERE}.yamnet:YamNet", AUDIO, "YAMNet, with words for what it hears", "dynmm[audio,tflite], weights", "PATH"
    ),
}


@dataclass(frozen=True)
class Choice:
    """A parsed setting. name: of `EVERYWHERE`, of the table, or a ``module:Class``. source: what follows it."""

    name: str
    source: str | None = None

    def __str__(self) -> str:
        return self.name if self.source is None else f"{self.name}:{self.source}"


def parse(modality: Modality, text: str) -> Choice:
    """What a setting such as ``clip:/models/clip`` asks for. Raises ConfigError that lists what there is."""
    name, colon, source = text.strip().partition(":")
    if name in (AUTO, OFF) and not colon:
        return Choice(name)
    if name == PRECOMPUTED and bool(source) == bool(colon):
        return Choice(name, source or None)
    entry = TABLE.get(name)
    names_a_class = source.isidentifier() and all(part.isidentifier() for part in name.split("."))
    if entry is None and names_a_class and name not in EVERYWHERE:
        return Choice(text.strip())
    if entry is None:
        raise ConfigError(f"there is no encoder {text!r} for {modality}; there are: {', '.join(offered(modality))}")
    if entry.modality != modality:
        raise ConfigError(
            f"the encoder {name!r} takes {entry.modality}, not {modality}; for {modality} there are: "
            f"{', '.join(offered(modality))}"
        )
    if entry.source is None and colon:
        raise ConfigError(f"the encoder {name!r} takes nothing behind its name; write {name!r} instead of {text!r}")
    if entry.source is not None and not source:
        raise ConfigError(f"the encoder {name!r} needs its {entry.source}: write {name}:{entry.source}")
    return Choice(name, source or None)


def offered(modality: Modality) -> list[str]:
    """Everything that a setting for this modality may say."""
    own = [
        name if entry.source is None else f"{name}:{entry.source}"
        for name, entry in TABLE.items()
        if entry.modality == modality
    ]
    return [*EVERYWHERE, *own, "package.module:Class"]


def choices(modality: Modality) -> str:
    """The same as `dynmm config` shows it."""
    optional = {PRECOMPUTED: f"{PRECOMPUTED}[:NAME]"}
    return " | ".join(optional.get(one, one) for one in offered(modality))


def create(
    modality: Modality,
    choice: Choice,
    *,
    device: str = "cpu",
    precision: Precision = "auto",
    words: Sequence[str] | None = None,
) -> Encoder:
    """The encoder of a choice that names one, loaded now.

    device: such as ``cpu`` or ``cuda``. precision: ``auto``, ``float32`` or ``bfloat16``. words: what an encoder
    looks for that takes words; its own if None. Raises ConfigError where it cannot be had, MissingExtraError where
    a package lacks.
    """
    entry = TABLE.get(choice.name)
    if entry is None:
        return _own(modality, choice.name)
    given: dict[Argument, Any] = {"device": device, "precision": precision, "words": words}
    keywords = {name: given[name] for name in entry.arguments}
    made = _imported(entry.path)(*([] if choice.source is None else [choice.source]), **keywords)
    return cast(Encoder, made)


def _own(modality: Modality, path: str) -> Encoder:
    try:
        made = _imported(path)()
    except DynmmError:
        raise
    except Exception as error:  # somebody else's code raises anything
        raise ConfigError(
            f"the {modality} encoder {path!r} cannot be made ({type(error).__name__}: {error}); there are: "
            f"{', '.join(offered(modality))}"
        ) from error
    if not isinstance(made, Encoder):
        raise ConfigError(f"{path!r} is no encoder: it needs modality, width, attribute_names, identity and encode")
    if made.modality not in MODALITIES or made.modality != modality:
        raise ConfigError(f"the encoder {path!r} takes {made.modality!r}, but was named for {modality}")
    return made


def _imported(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    return cast(Callable[..., Any], getattr(importlib.import_module(module), name))
