"""The joint stage's configuration, and what follows from the data."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from dynmm.catalogue.content import Modality
from dynmm.configuration import Settings
from dynmm.precision import Precision

Auto = Literal["auto"]
_T = TypeVar("_T")
_Rate = Annotated[float, Field(ge=0, lt=1)]
_Weight = Annotated[float, Field(ge=0)]
_Positive = Annotated[float, Field(gt=0)]


#: In the paper's Table 7.
_PAPERS_RATE = 5e-4


class FusionSettings(Settings):
    """How what is known of an item becomes one latent. "auto" follows the backbone, see `following`."""

    variant: Literal["joint", "paper", "off"] = Field(
        "joint",
        description="joint: the method as built here. paper: the paper's literal form as far as it runs: backbone and "
        "collaborative vectors stay frozen, modalities are averaged, none is ever left out in training. off: no joint "
        "stage.",
    )
    modalities: tuple[Modality, ...] = Field(
        ("text", "image", "audio"), description="Which modalities take part, where the data has them."
    )
    tower: Literal["trained", "frozen"] = Field(
        "trained",
        description="Whether a copy of the backbone's transformer learns to read the joint latents; the backbone "
        "itself stays frozen either way.",
    )
    collaborative: Literal["trained", "frozen"] = Field(
        "trained", description="Whether the collaborative input of an item moves from the backbone's vector."
    )
    gate: Literal["learned", "mean"] = Field(
        "learned", description="How present modalities are weighed: by a learned score and quality, or all alike."
    )
    guessed: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the latent of an item that nobody took which a linear regression guesses from its "
        "content; the rest is made as the other latents are.",
    )
    hidden: int = Field(384, ge=8, description="Width between the input layer of a modality and the shared trunk.")
    content_dropout: _Rate = Field(0.0, description="Dropout on the features of text, picture and sound.")
    modality_dropout: _Rate = Field(
        0.1, description="Chance that a modality of an item, the collaborative one included, is hidden in a step."
    )
    swap: _Rate = Field(
        0.05,
        description="Chance that an item shows another item's content in a step, so that the gate learns to doubt.",
    )
    align_weight: _Weight = Field(0.1, description="Weight of the contrastive loss between modalities (L_mm).")
    recon_weight: _Weight = Field(0.1, description="Weight of the reconstruction loss (L_recon).")
    aligned_items: int = Field(512, ge=2, description="Items drawn in each step for L_mm and L_recon.")
    temperature: _Positive | Auto = Field("auto", description="Divides the cosine of user and item in the softmax.")
    learning_rate: float = Field(
        1e-3,
        gt=0,
        description="Peak learning rate of AdamW. The paper's Table 7 has 5e-4, which variant paper takes unless "
        "another is given.",
    )
    weight_decay: _Weight | Auto = Field("auto", description="Weight decay of AdamW on tables and matrices.")
    warmup_epochs: float = Field(0.5, ge=0, description="Epochs over which the learning rate rises.")
    epochs: Annotated[int, Field(ge=1)] | Auto = Field(
        "auto", description="Epochs over which the learning rate falls to its end; half the backbone's."
    )
    patience: Annotated[int, Field(ge=1)] | Auto = Field(
        "auto", description="Stop after so many epochs without a better validation NDCG@10."
    )
    validate_from: float = Field(0.25, ge=0, le=1, description="Share of the epochs before the first validation.")
    precision: Precision = Field(
        "auto", description="Of the products in training; auto is bfloat16 where the device computes in it."
    )

    @model_validator(mode="after")
    def _the_paper_decides(self) -> Self:
        if self.variant != "paper":
            return self
        fixed = {
            "tower": "frozen",
            "collaborative": "frozen",
            "gate": "mean",
            "guessed": 0.0,
            "modality_dropout": 0.0,
            "swap": 0.0,
        }
        given = [name for name in fixed if name in self.model_fields_set and getattr(self, name) != fixed[name]]
        if given:
            raise ValueError(f"variant 'paper' decides {given[0]}; leave it out, or use variant 'joint'")
        for name, value in fixed.items():
            object.__setattr__(self, name, value)
        if "learning_rate" not in self.model_fields_set:
            object.__setattr__(self, "learning_rate", _PAPERS_RATE)
        return self


def chosen(value: _T | Auto) -> _T:
    """A resolved value: anything but "auto"."""
    assert value != "auto", "settings must be resolved before they are used"
    return value
