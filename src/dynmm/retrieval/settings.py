"""How candidates are found among all items."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dynmm.configuration import Settings

Kind = Literal["exact", "pq"]


class RetrievalSettings(Settings):
    """The index over the item latents. The defaults were measured, see docs/decisions/0012."""

    index: Literal["auto", "exact", "pq"] = Field(
        "auto",
        description="exact compares the user with every item; pq reads short codes and re-ranks the best exactly; "
        "auto goes by the number of items.",
    )
    exact_below: int = Field(50_000, ge=0, description="auto searches exactly below this many items.")
    bytes_per_item: int = Field(64, ge=1, le=1024, description="Most bytes of a code in memory, for pq.")
    shortlist: int = Field(
        1000, ge=1, description="Items that pq re-ranks for each user; twice as many as asked for where that is more."
    )
    training_items: int = Field(16_384, ge=16, description="Most items from which the codes are learned, for pq.")
    measured_queries: int = Field(200, ge=1, description="Most queries on which a new pq index is measured.")

    def kind(self, n_items: int) -> Kind:
        """Which index a catalogue of this size gets."""
        if self.index != "auto":
            return self.index
        return "exact" if n_items < self.exact_below else "pq"
