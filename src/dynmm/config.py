"""Every component's configuration in one tree. Only the assembly and the command line see it whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, ValidationError

from dynmm.adapter.settings import AdapterSettings
from dynmm.backbone.settings import BackboneSettings
from dynmm.configuration import Settings
from dynmm.encoders.settings import EncoderSettings
from dynmm.errors import ConfigError
from dynmm.evidence.settings import EvidenceSettings
from dynmm.fusion.settings import FusionSettings
from dynmm.interactions.splits import SplitConfig
from dynmm.language.settings import LanguageSettings, RerankChoice, RerankSettings
from dynmm.rationale.settings import RationaleSettings
from dynmm.retrieval.settings import RetrievalSettings
from dynmm.stream.settings import StreamSettings

_WORDS: dict[Any, str] = {str: "text", float: "number", int: "int", bool: "true | false", NoneType: "null"}


class DataSettings(Settings):
    """Which rows of the data set folder are used."""

    min_rating: float | None = Field(None, description="Keep rows with at least this rating; every row without it.")
    kinds: tuple[str, ...] | None = Field(None, description="Keep rows of these kinds, e.g. [purchase]; all if null.")
    skip_bad: bool = Field(False, description="Leave out and count bad rows instead of stopping at the first.")


class Config(Settings):
    """The whole configuration of a fit. Defaults hold on any data; `auto` values follow from its shape."""

    data: DataSettings = Field(default_factory=DataSettings, description="Which rows are used.")
    split: SplitConfig = Field(default_factory=SplitConfig, description="How data is held out.")
    backbone: BackboneSettings = Field(default_factory=BackboneSettings, description="The sequence model.")
    encoders: EncoderSettings = Field(
        default_factory=EncoderSettings, description="What reads texts, looks at pictures and listens to sounds."
    )
    fusion: FusionSettings = Field(default_factory=FusionSettings, description="The joint latent of an item.")
    evidence: EvidenceSettings = Field(default_factory=EvidenceSettings, description="Facts that carry the score.")
    rerank: RerankChoice = Field(
        "auto",
        description="What puts the best candidates in a better order. auto: the kind that does best on validation, or "
        "none. A kind is left out where no gain of it over the stages below is sure, and fit says so.",
    )
    reranking: RerankSettings = Field(
        default_factory=RerankSettings, description="How re-rankers are trained, whatever their kind."
    )
    language: LanguageSettings = Field(
        default_factory=LanguageSettings, description="The frozen language model that re-ranks and words reasons."
    )
    rationale: RationaleSettings = Field(default_factory=RationaleSettings, description="How reasons are told.")
    retrieval: RetrievalSettings = Field(default_factory=RetrievalSettings, description="How candidates are found.")
    adapter: AdapterSettings = Field(
        default_factory=AdapterSettings, description="How vectors move with what a run learns."
    )
    stream: StreamSettings = Field(default_factory=StreamSettings, description="How a run keeps what it learns.")

    @classmethod
    def of(cls, value: Config | Mapping[str, Any] | None) -> Config:
        """A configuration from overrides of the defaults. Raises ConfigError, which names the key."""
        if isinstance(value, Config):
            return value
        if not isinstance(value, Mapping | None):
            raise ConfigError(f'a configuration is a mapping such as {{"backbone": {{"epochs": 5}}}}, not {value!r}')
        try:
            return cls.model_validate(dict(value or {}))
        except ValidationError as error:
            raise ConfigError(_explain(error)) from None


def read_config(file: Path | None, assignments: Iterable[str]) -> Config:
    """Overrides from a JSON file, then `a.b=c` assignments on top. Values are read as JSON, else as text."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{file} is not a readable JSON configuration: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{file} must hold a JSON object of overrides, not {type(values).__name__}")
    for assignment in assignments:
        _assign(values, assignment)
    return Config.of(values)


def _assign(values: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {assignment!r} is not KEY=VALUE, e.g. --set backbone.epochs=20")
    *path, last = key.split(".")
    place = values
    for part in path:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set {assignment!r}: {part!r} is a value, not a section")
    try:
        place[last] = json.loads(text)
    except ValueError:
        place[last] = text


def _explain(error: ValidationError) -> str:
    problems: dict[str, list[str]] = {}
    for one in error.errors():
        # Where a value may be of several types, pydantic adds the name of each to the place.
        key = ".".join(str(part) for part in one["loc"] if not isinstance(part, str) or part.isidentifier())
        if one["type"] == "extra_forbidden":
            key = ".".join(str(part) for part in one["loc"])
            problems[f"unknown key {key!r}"] = ["`dynmm config` lists every key"]
        elif one["type"] == "value_error":
            problems.setdefault(key, []).append(one["msg"].removeprefix("Value error, "))
        else:
            problems.setdefault(f"{key}: got {_short(one['input'])}", []).append(one["msg"])
    return "configuration: " + "; ".join(f"{key}: {' or '.join(texts)}" for key, texts in problems.items())


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def describe(settings: type[Settings] = Config, prefix: str = "") -> Iterator[tuple[str, str, Any, str]]:
    """Every key as (key, type, default, meaning), sections first to last."""
    for name, field in settings.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Settings):
            yield from describe(annotation, f"{prefix}{name}.")
        else:
            default = field.get_default(call_default_factory=True)
            yield f"{prefix}{name}", _in_words(annotation), default, field.description or ""


def _in_words(annotation: Any) -> str:
    """A type as one would write its values: "int | auto", "list of text", "number | null"."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _in_words(inner[0])
    if origin is Literal:
        return " | ".join(str(value) for value in inner)
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(_in_words(one) for one in inner))
    if origin in (list, tuple):
        return f"list of {_in_words(inner[0])}"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
