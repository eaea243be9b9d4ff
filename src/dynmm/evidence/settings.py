"""The configuration of evidence: which facts there are, and how their worth is learned."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from dynmm.configuration import Settings
from dynmm.evidence.weighing import PairSettings


class EvidenceSettings(Settings):
    """Facts that carry the score, and how their weights are learned."""

    variant: Literal["scored", "paper", "off"] = Field(
        "scored",
        description="scored: facts between a user's history and an item add to its score, weights learned by "
        "cross-fitting. paper: an item's strongest neighbours, whoever asks, all alike, are its evidence, and one "
        "strength is chosen on validation. off: no evidence.",
    )
    pairs: PairSettings = Field(default_factory=PairSettings, description="What counts as a pair of items.")
    recencies: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (0.4, 0.9),
        min_length=1,
        description="A history item counts so much against the one after it; each fact has a weight for each.",
    )
    trend_days: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 7, 30), description="Windows of the trend, in days; only where events have timestamps."
    )
    trend_say: int | None = Field(
        5,
        ge=1,
        description="Distinct items of one person in a window of the trend that count in full; of more than these, "
        "each counts so much less that nobody has more to say. Fewer means fake users push less. null: no bound.",
    )
    neighbours: int = Field(8, ge=1, description="Neighbours of an item in the variant paper.")
    users: int = Field(20_000, ge=1, description="At most so many held-back events teach the weights.")
    least_users: int = Field(50, ge=1, description="With fewer of them nothing is learned, and evidence stays out.")
    hard: int = Field(120, ge=1, description="Candidates from each source that a held-back event is told from.")
    drawn: int = Field(60, ge=1, description="Candidates drawn at random beside them, each standing for many.")
    steps: int = Field(500, ge=1, description="Steps of Adam over the weights.")
    batch: int = Field(512, ge=1, description="Held-back events in a step.")
    strengths: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] = Field(
        (0.0, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0),
        min_length=1,
        description="Factors on all of evidence; validation chooses one, 0 is none.",
    )
    cut_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2,
        description="Share of the training events, the last by time: first events of people among them teach what "
        "counts for people without a history, and for a stream all of them teach the weights.",
    )
    told: int = Field(
        8, ge=1, description="Facts that are named beside an item and may be told; the rest is one number."
    )
    group_below: int = Field(
        5,
        ge=1,
        description="Facts of fewer people are told together, as a union over the history; for the public those of "
        "fewer than rationale.k, too.",
    )

    @field_validator("recencies", "trend_days")
    @classmethod
    def _each_once(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) < len(values):
            raise ValueError("names a value twice; each has a weight of its own")
        return values
