"""The configuration of a split."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dynmm.configuration import Settings
from dynmm.interactions.fields import SplitName

HoldoutKind = Literal["auto", "user", "time", "given"]


class SplitConfig(Settings):
    """How data is held out. Defaults are those of the published protocols."""

    name: SplitName = Field(
        "none", description="none (all events train), full (leave last out), holdout (80/10/10), cold, or stream."
    )
    k_core: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto", description="Keep users and items with at least so many events; auto: 5 for full, 0 otherwise."
    )
    by: HoldoutKind = Field(
        "auto",
        description="holdout: cut each user's events (user), cut at two moments (time), take the data's own split "
        "(given); auto: given where the data has one, else user.",
    )
    test_share: float = Field(0.1, gt=0, lt=0.5, description="holdout: share of events held out for the test.")
    validation_share: float = Field(
        0.1, gt=0, lt=0.5, description="holdout: share of events for selection; stream: share of the training part."
    )
    min_events: int = Field(5, ge=3, description="holdout by user: users with fewer events only train.")
    stream_train_share: float = Field(0.7, gt=0, lt=1, description="stream: share of events, by time, that trains.")
    stream_window: str | None = Field(
        None,
        description="stream: for runs that advance by windows, the length of one, as 1h or 1d: selection and weights "
        "are asked what nobody knows within it, and so is the adapter. null: each event knows of all before it.",
    )
    cold_below: int = Field(5, ge=1, description="cold: an item with fewer training events than this is cold.")
    cold_min_targets: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="cold: with fewer targets on cold items, items are hidden instead; auto: 200, or 2 % of the "
        "users where that is more.",
    )
    cold_hidden_share: float = Field(0.1, gt=0, lt=1, description="cold: share of items hidden where need be.")
    selection_share: float = Field(
        0.1, gt=0, le=1, description="none: share of users whose last event selects before the final refit."
    )
