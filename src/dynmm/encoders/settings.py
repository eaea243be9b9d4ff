"""Which encoders read, look and listen, and how many contents they take at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality
from dynmm.catalogue.decoding.settings import DecodingSettings
from dynmm.configuration import Settings
from dynmm.encoders.table import TABLE, choices, parse
from dynmm.encoders.zeroshot import prompts, read_words
from dynmm.errors import ConfigError
from dynmm.precision import Precision


class EncoderSettings(Settings):
    """One encoder for each modality. A name that there is not is refused at once, with those that there are."""

    text: str = Field(
        "auto",
        description=f"{choices(TEXT)}. auto: minilm where it is installed, else hashed-words.",
    )
    image: str = Field(
        "auto",
        description=f"{choices(IMAGE)}. auto: a feature file where there is one, else visual where there are pictures.",
    )
    audio: str = Field(
        "auto",
        description=f"{choices(AUDIO)}. auto: a feature file where there is one, else acoustic where there are sounds.",
    )
    words: tuple[str, ...] | None = Field(
        None,
        description="What clip looks for in pictures: words or phrases such as dark, is dark or of a car, or the path "
        "of a text file with one a line, which the fit reads. null: words of its own; []: none.",
    )
    text_batch: int = Field(128, ge=1, description="Texts that are encoded together; of similar length.")
    image_batch: int = Field(32, ge=1, description="Pictures that are encoded together.")
    audio_batch: int = Field(8, ge=1, description="Sounds that are encoded together.")
    precision: Precision = Field(
        "auto", description="Of the matrix products in encoders with torch weights; auto: bfloat16 where it is fast."
    )

    decode_memory_mb: int = Field(
        1024, ge=256, description="Memory of the process that decodes pictures and sounds, in MB (2^20 bytes)."
    )
    decode_seconds: float = Field(
        20.0, gt=0, description="How long one picture or sound may take to decode; it is left out beyond."
    )
    decode_start_seconds: float = Field(120.0, gt=0, description="How long the decoding process may take to start.")

    @field_validator("words", mode="before")
    @classmethod
    def _from_a_file(cls, value: object) -> object:
        """The words themselves are kept, so that a run does not depend on where their file lies."""
        return read_words(Path(value)) if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _names_that_exist(self) -> Self:
        chosen = [parse(modality, self.named(modality)).name for modality in (TEXT, IMAGE, AUDIO)]
        if self.words is None:
            return self
        prompts(self.words)
        takers = [name for name, entry in TABLE.items() if "words" in entry.arguments]
        if not set(takers) & set(chosen):
            raise ConfigError(
                f"encoders.words: {', '.join(chosen)} look for no words; {', '.join(takers)} would: name it, "
                "or leave the words out"
            )
        return self

    def named(self, modality: Modality) -> str:
        """What was written for a modality."""
        return {TEXT: self.text, IMAGE: self.image, AUDIO: self.audio}[modality]

    @property
    def decoding(self) -> DecodingSettings:
        """The limits of the decoders."""
        return DecodingSettings(
            memory_mb=self.decode_memory_mb,
            item_seconds=self.decode_seconds,
            start_seconds=self.decode_start_seconds,
        )

    def batch(self, modality: Modality) -> int:
        """Contents that are encoded together."""
        return {TEXT: self.text_batch, IMAGE: self.image_batch, AUDIO: self.audio_batch}[modality]
