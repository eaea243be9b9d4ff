"""Configuration of the log of a run."""

from __future__ import annotations

from pydantic import Field

from dynmm.configuration import Settings


class StreamSettings(Settings):
    """How a run keeps what it learns."""

    clock_tolerance_seconds: float = Field(
        300.0,
        ge=0,
        description="A time later than this after its event came in counts as that moment, so that no clock runs ahead "
        "of the log's.",
    )
    most_held: int = Field(
        100_000,
        ge=0,
        description="Most events that wait for items which have not come; behind it the oldest waits no more. The log "
        "keeps all.",
    )
    snapshot_every: int = Field(
        50_000, ge=1, description="Events from one snapshot of what was learned to the next; a restart reads the rest."
    )
    snapshots: int = Field(3, ge=1, description="Snapshots that are kept.")
