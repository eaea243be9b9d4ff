"""How much a rationale says, to whom, and how strongly."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from dynmm.configuration import Settings

View = Literal["operator", "public"]

#: 5, 10, 20, 50 and so on, up to a million.
_BUCKETS = tuple(first * 10**power for power in range(7) for first in (1, 2, 5))[2:-2]


class RationaleSettings(Settings):
    """Configuration of the rationales."""

    view: View = Field(
        "public",
        description="Who reads: `public` tells of people in buckets and from k on, `operator` tells all exactly.",
    )
    k: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="So many distinct people must stand behind a public count, 2 or more; 20 is advised for sensitive "
        "domains.",
    )
    release_every: int = Field(
        50,
        ge=1,
        description="The public reads the facts of an item as they stood at its last release, one for every so many "
        "people who take it: so no change tells of one of them. 1 is always now.",
    )
    claims: int = Field(3, ge=1, le=20, description="Claims in a rationale, at most.")
    sentences: int = Field(2, ge=1, le=5, description="Sentences of claims, at most; a sentence holds two.")
    titles: int = Field(3, ge=1, le=20, description="Titles that a claim names, at most; the others are counted.")
    buckets: tuple[int, ...] = Field(
        _BUCKETS,
        description="Public counts are rounded down to one of these; none below twice k is used but k itself, and "
        "those that are used lie at least k apart.",
    )
    largest_share: float = Field(
        0.2,
        gt=0.0,
        le=1.0,
        description="An attribute value that a larger share of the catalogue has is no reason.",
    )
    alike: tuple[float, float, float] = Field(
        (0.3, 0.5, 0.8),
        description="Cosines from which an item is somewhat like another, like it, and much like it.",
    )
    parts: tuple[float, float, float] = Field(
        (0.1, 0.3, 0.6),
        description="Shares of a score from which a part of it is called small, large, and most of it.",
    )
    small_part: float = Field(
        0.2,
        ge=0.0,
        le=1.0,
        description="Where the facts told carry a smaller share of the score, the rationale says that they are a small "
        "part.",
    )
    recount: bool = Field(
        True,
        description="Recount each fact from the log before it is told, and drop those that differ.",
    )

    @field_validator("buckets")
    @classmethod
    def _rising(cls, buckets: tuple[int, ...]) -> tuple[int, ...]:
        if any(low >= high for low, high in pairwise((0, *buckets))):
            raise ValueError("buckets are above 0 and rise")
        return buckets

    @field_validator("alike", "parts")
    @classmethod
    def _ordered(cls, thresholds: tuple[float, float, float]) -> tuple[float, float, float]:
        if not 0.0 <= thresholds[0] <= thresholds[1] <= thresholds[2] <= 1.0:
            raise ValueError("thresholds lie between 0 and 1 and do not fall")
        return thresholds

    @model_validator(mode="after")
    def _nobody_alone(self) -> Self:
        if self.view == "public" and self.k < 2:
            raise ValueError("k is 2 or more in the public view: with 1 it would tell of a single person")
        used = [bucket for bucket in self.buckets if bucket >= 2 * self.k]
        if self.view == "public" and any(high - low < self.k for low, high in pairwise(used)):
            raise ValueError(f"buckets lie at least k = {self.k} apart: a narrow one tells almost the exact count")
        return self
