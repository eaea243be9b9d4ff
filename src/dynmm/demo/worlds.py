"""The small world of the demo, some of whose items come only after the fit."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
import polars as pl

from dynmm.catalogue.content import Modality
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import ITEM
from dynmm.randomness import generator
from dynmm.simulation import World, demo_world, simulate

#: Enough to learn from, in less than a minute. Of the items, so many are kept back as the newcomers.
USERS, ITEMS, EVENTS, NEWCOMERS = 500, 500, 10_000, 40
#: One taste that texts tell of, one that only pictures show, and one that only sounds let hear.
TASTES = 3
#: Share of events that follow on from the one before, so that what people took tells something, too.
SEQUENCE = 0.3


@dataclass(frozen=True, eq=False)
class Newcomers:
    """A world less the items that come after the fit.

    data: what the fit sees. items, media: canonical tables of the newcomers; media None where nothing can read it.
    """

    world: World
    data: Dataset
    items: pl.DataFrame
    media: pl.DataFrame | None

    def owed_to(self, modality: Modality, user: str, item: str) -> float:
        """The truth: the share of a user's liking for an item that is a taste which this modality shows."""
        world = self.world
        number, taken = world.item_ids.index(item), world.user_ids.index(user)
        behind = world.behind(taken, number, world.moment_ms(1.0))
        return float(behind[world.shown(modality)].sum())


def world_with_newcomers(
    seed: int, *, users: int = USERS, items: int = ITEMS, events: int = EVENTS, newcomers: int = NEWCOMERS
) -> Newcomers:
    """Pictures and sounds are made where this installation can decode them; they change no event."""
    config = demo_world(users, items, events).model_copy(update={"factors": TASTES, "sequence": SEQUENCE})
    silent = {} if _installed("soundfile") else {"sounds": None}
    blind = {} if _installed("PIL") else {"pictures": None}
    world = simulate(config.model_copy(update={**silent, **blind}), seed)
    ids = np.asarray(world.item_ids, dtype=object)
    late = ids[np.sort(generator(seed, "newcomers").permutation(len(ids))[:newcomers])].tolist()
    is_late = pl.col(ITEM).is_in(late)
    table, media = world.items(), world.media()
    early = None if media is None else media.filter(~is_late)
    data = Dataset.from_frames(world.interactions().filter(~is_late), table.filter(~is_late), early, info=world.info())
    return Newcomers(world, data, table.filter(is_late), None if media is None else media.filter(is_late))


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
