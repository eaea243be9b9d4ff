"""Lists for several users at once."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from dynmm.interactions.fields import ITEM, TITLE, USER
from dynmm.types import Recommendation


@dataclass(frozen=True)
class Recommendations:
    """Ranked items of several users, best first."""

    by_user: dict[str, list[Recommendation]]

    def to_frame(self) -> pl.DataFrame:
        """Columns user_id, rank (1 first), item_id, score, title."""
        rows = [
            (user, rank, one.item, one.score, one.title)
            for user, items in self.by_user.items()
            for rank, one in enumerate(items, start=1)
        ]
        schema = {USER: pl.String, "rank": pl.Int32, ITEM: pl.String, "score": pl.Float32, TITLE: pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")
