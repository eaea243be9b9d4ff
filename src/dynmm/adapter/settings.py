"""Configuration of the adapter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from dynmm.configuration import Settings
from dynmm.errors import ConfigError
from dynmm.interactions.windows import parse_duration

Share = Annotated[float, Field(gt=0, le=1)]


class AdapterSettings(Settings):
    """How vectors of users and items move with the stream, and how that is learned."""

    variant: Literal["on", "paper", "off"] = Field(
        "on",
        description="on: vectors move with the stream. paper: the paper's literal form: random first weights, a gate "
        "that is half open from the start, summaries that hold the event itself, no guard. off: only counts move.",
    )
    window: str = Field(
        "auto",
        description="Length of a window, after which the adapter learns: 1h, 1d; auto: 1h, 1d on daily data, and in "
        "`dynmm stream` the stream's own.",
    )
    batch: int = Field(1_024, ge=1, description="Events after which it learns, even within a window.")
    share: Share = Field(
        1.0, description="Share of the events that it learns from, drawn by seed and place in the log."
    )
    half_life: int = Field(2_000, ge=1, description="Events of the stream after which an item's event counts half.")
    active: float = Field(2.0, gt=0, description="Decayed events with which an item or a user moves by half.")
    user_half_life_days: float = Field(30.0, gt=0, description="After so long a user's event counts half.")
    dims: int = Field(32, ge=1, description="Numbers that latents are projected to in the summaries.")
    hidden: int = Field(32, ge=1, description="Width of the hidden layer.")
    learning_rate: float = Field(5e-4, gt=0, description="Of AdamW.")
    weight_decay: float = Field(1e-2, ge=0, description="Of AdamW.")
    steps: int = Field(8, ge=1, description="Gradient steps for every `step_events` events that were observed.")
    step_events: int = Field(
        256,
        ge=1,
        description="Events that are gathered, over several windows if need be, before they teach; each step has as "
        "many, and at most as many replayed ones beside them.",
    )
    near: int = Field(
        40,
        ge=2,
        description="Best items of the frozen stages that an event's item is told from; of the version on trial half "
        "as many, and the guard counts ranks to there.",
    )
    negatives: int = Field(16, ge=1, description="Items drawn from all others beside them, which stand for those.")
    gate: bool = Field(True, description="Whether learned gates scale the shift; without, activity alone does.")
    gate_bias: float = Field(0.0, description="Where the gates begin, before the sigmoid.")
    replay: int = Field(1_024, ge=0, description="Earlier events kept for replay, drawn evenly; 0 for none.")
    ema: float = Field(0.9, ge=0, lt=1, description="Of the weights that serve; 0 serves those that train.")
    stability: float = Field(1.0, ge=0, description="Penalty on the squared shift, in units of the vector's length.")
    ewc: float = Field(1.0, ge=0, description="Penalty on moving weights that mattered, within `stability`.")
    clip: float = Field(5.0, gt=0, description="Longest mean gradient of one user's events in a step, at the shifts.")
    user_events: int = Field(32, ge=1, description="Most events of one user that a window teaches.")
    guard: bool = Field(
        True, description="Whether a version must prove itself on the window after it before it serves."
    )
    guard_events: int = Field(200, ge=1, description="Fewest events on which versions must have proved themselves.")
    drift: bool = Field(True, description="Whether ADWIN shortens the window on a change (needs dynmm[online]).")
    versions: int = Field(5, ge=1, description="Versions that are kept to go back to.")

    @field_validator("window")
    @classmethod
    def _a_duration(cls, window: str) -> str:
        if window != "auto":
            try:
                parse_duration(window)
            except ConfigError as error:
                raise ValueError(f"{error}, or auto") from None
        return window

    @property
    def lifted(self) -> int:
        """Best items of the version on trial that are seen, and the deepest rank that the guard can count exactly."""
        return self.near // 2
