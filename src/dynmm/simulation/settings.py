"""The configuration of a world. Moments are shares of its span: 0 is its first second, 1 its last."""

from __future__ import annotations

import string
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from dynmm.configuration import Settings

_TITLE_WORDS = ("adjective", "noun", "number", "brand", "category")


class NoDrift(Settings):
    """Tastes stay as they are."""

    kind: Literal["none"] = Field("none", description="No drift.")


class SuddenDrift(Settings):
    """Some users change their taste at one moment, for good."""

    kind: Literal["sudden"] = Field("sudden", description="Sudden drift.")
    at: float = Field(0.5, ge=0, le=1, description="When, as a share of the span.")
    share: float = Field(0.5, ge=0, le=1, description="Share of the users whose taste changes.")


class GradualDrift(Settings):
    """Some users slide from one taste into another."""

    kind: Literal["gradual"] = Field("gradual", description="Gradual drift.")
    at: float = Field(0.4, ge=0, le=1, description="When it begins, as a share of the span.")
    until: float = Field(0.8, ge=0, le=1, description="When it is complete, as a share of the span.")
    share: float = Field(0.5, ge=0, le=1, description="Share of the users whose taste changes.")

    @model_validator(mode="after")
    def _runs_forward(self) -> GradualDrift:
        if self.until <= self.at:
            raise ValueError("until must be later than at")
        return self


class RecurringDrift(Settings):
    """Some users go to and fro between two tastes, as with seasons or weekends."""

    kind: Literal["recurring"] = Field("recurring", description="Recurring drift.")
    at: float = Field(0.2, ge=0, le=1, description="When the first change happens, as a share of the span.")
    period_days: float = Field(14.0, gt=0, description="Days from one change to the next.")
    share: float = Field(0.5, ge=0, le=1, description="Share of the users whose taste changes.")


Drift = Annotated[NoDrift | SuddenDrift | GradualDrift | RecurringDrift, Field(discriminator="kind")]


class BurstConfig(Settings):
    """For some hours an item, or a whole category, is hot."""

    scope: Literal["item", "category"] = Field("item", description="What becomes hot.")
    at: float = Field(0.6, ge=0, lt=1, description="When it begins, as a share of the span.")
    hours: float = Field(24.0, gt=0, description="How long it lasts.")
    share: float = Field(0.3, gt=0, le=1, description="Share of the events within it that go to what is hot.")


class AttackConfig(Settings):
    """Fake users who push some items and hide among popular ones."""

    users: int = Field(20, ge=1, description="Number of fake users, beside the world's own.")
    targets: int = Field(2, ge=1, description="Number of unpopular items that each of them pushes.")
    events_each: int = Field(10, ge=1, description="Events of each fake user; what is no target is popular.")
    at: float = Field(0.6, ge=0, lt=1, description="When it begins, as a share of the span.")
    hours: float = Field(12.0, gt=0, description="How long it lasts.")

    @model_validator(mode="after")
    def _targets_fit(self) -> AttackConfig:
        if self.targets > self.events_each:
            raise ValueError("targets must not exceed events_each: each fake user takes each target once")
        return self


class MediaConfig(Settings):
    """What pictures and sounds have in common. `wrong` and `cut` never meet in one item."""

    share: float = Field(1.0, ge=0, le=1, description="Share of the items that have one.")
    shows: float = Field(0.6, gt=0, le=1, description="Share of the tastes that show in it, one at least.")
    follows: float = Field(0.9, ge=0, le=1, description="How closely style follows taste; 0 is not at all.")
    wrong: float = Field(0.0, ge=0, le=1, description="Share of these items that have another item's instead.")
    cut: float = Field(0.0, ge=0, le=1, description="Share of these items whose files break off early.")
    each: int = Field(1, ge=1, le=16, description="Pictures (frames) or sounds (tracks) of each item.")

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.wrong + self.cut > 1:
            raise ValueError("wrong and cut must not exceed 1 together")
        return self


class PictureConfig(MediaConfig):
    """A small PNG: colours, shapes and stripes follow the item's tastes."""

    size: int = Field(64, ge=16, le=512, description="Width and height in pixels.")


class SoundConfig(MediaConfig):
    """A short WAV of 16 kHz: pitch, pace, brightness and loudness of a tune follow the item's tastes."""

    seconds: float = Field(1.5, ge=0.25, le=30, description="Length of the sound.")


class WorldConfig(Settings):
    """How large the world is, what people like in it, and what happens to it."""

    name: str = Field("simulated", description="Name of the data set.")
    noun: str = Field("story", description="What an item is called.")
    verb: str = Field("read", description="What people did with it.")
    users: int = Field(1_000, ge=1, description="Number of honest users.")
    items: int = Field(600, ge=2, description="Number of items, all arrivals included.")
    events: int = Field(30_000, ge=1, description="Number of events of honest users, nearly.")
    min_events: int = Field(
        5, ge=1, description="Events of every honest user at least, if they find as many new items."
    )
    start: date = Field(date(2024, 1, 1), description="First day, UTC.")
    days: float = Field(120.0, ge=1, description="Length of the span in days.")
    factors: int = Field(8, ge=1, le=256, description="Number of tastes that users are mixtures of.")
    categories: int = Field(12, ge=1, description="Number of categories, new ones included.")
    new_categories: int = Field(1, ge=0, description="Categories that open one after the other during the span.")
    new_items: float = Field(0.15, ge=0, lt=1, description="Share of the items that arrive during the span.")
    popularity_skew: float = Field(0.6, ge=0, description="Exponent of the items' popularity by rank; 0 is even.")
    activity_skew: float = Field(0.8, ge=0, description="Spread of the users' activity (log-normal sigma).")
    taste_strength: float = Field(4.0, ge=0, description="How far taste outweighs popularity; 0 is not at all.")
    taste_focus: float = Field(0.2, gt=0, description="Dirichlet concentration of tastes; small is single-minded.")
    item_spread: float = Field(0.35, ge=0, description="How far an item strays from the tastes of its category.")
    sequence: float = Field(0.35, ge=0, le=1, description="Share of events that follow on from the one before.")
    noise: float = Field(0.05, ge=0, le=1, description="Share of the other events that popularity alone decides.")
    repeats: bool = Field(False, description="Whether a user may take an item again.")
    drift: Drift = Field(NoDrift(), description="How tastes change; by its kind.")
    bursts: tuple[BurstConfig, ...] = Field((), description="What becomes hot, and when.")
    attack: AttackConfig | None = Field(None, description="Fake users, or none.")
    text_shows: float = Field(
        1.0, gt=0, le=1, description="Share of the tastes that texts and categories tell of, one at least."
    )
    pictures: PictureConfig | None = Field(None, description="Pictures of the items, or none.")
    sounds: SoundConfig | None = Field(None, description="Sounds of the items, or none.")
    title_template: str = Field(
        "{adjective} {noun} {number}", description=f"Titles, made of {', '.join(_TITLE_WORDS)} in curly brackets."
    )

    @field_validator("title_template")
    @classmethod
    def _known_words(cls, template: str) -> str:
        try:
            words = {word for _, word, _, _ in string.Formatter().parse(template) if word is not None}
        except ValueError as error:
            raise ValueError(f"brackets do not match: {error}") from error
        if not words or not words <= set(_TITLE_WORDS):
            raise ValueError(f"use one or more of {', '.join('{' + word + '}' for word in _TITLE_WORDS)}")
        return template

    @model_validator(mode="after")
    def _parts_fit(self) -> WorldConfig:
        if self.events < self.users * self.min_events:
            raise ValueError(f"events must be at least users x min_events = {self.users * self.min_events}")
        if self.categories > self.items:
            raise ValueError("categories must not exceed items")
        if self.new_categories >= self.categories:
            raise ValueError("new_categories must be fewer than categories: the world opens with some")
        if not self.repeats and self.events > self.users * self.items // 2:
            raise ValueError("events must not exceed users x items / 2 where no user takes an item twice")
        if self.attack is not None and self.attack.targets * 4 > self.items:
            raise ValueError("attack.targets must not exceed a quarter of the items")
        return self
