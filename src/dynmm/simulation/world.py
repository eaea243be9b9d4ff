"""A seeded world: events, and the truth behind them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality
from dynmm.interactions.dataset import Dataset, DatasetInfo
from dynmm.interactions.fields import ITEM, MEDIA_FILE, POSITION, TIME, USER
from dynmm.randomness import generator
from dynmm.simulation.attacks import make_attack
from dynmm.simulation.bursts import Burst, make_bursts
from dynmm.simulation.catalogue import SUCCESSOR_CHANCES, Catalogue, make_catalogue
from dynmm.simulation.choices import ATTACK, CAUSES, Chooser
from dynmm.simulation.itemtexts import item_table
from dynmm.simulation.media import media_table, media_truth
from dynmm.simulation.sampling import Sampler
from dynmm.simulation.schedule import make_schedule
from dynmm.simulation.settings import WorldConfig
from dynmm.simulation.styles import shown_tastes
from dynmm.simulation.tastes import Tastes, make_tastes
from dynmm.storage import write_json
from dynmm.types import Events

LICENCE = "simulated; no rights reserved"


@dataclass(frozen=True, eq=False)
class World:
    """U users (fake ones included) and I items, numbered as in `dataset()`, N events by user, then time.

    events: users, items and timestamps in ms UTC. cause: (N,) int8, place in `CAUSES`. attackers: (U,) bool.
    targets: items that the attackers push. tastes, catalogue, bursts: the truth, in seconds since the start.
    """

    config: WorldConfig
    seed: int
    catalogue: Catalogue
    tastes: Tastes
    bursts: tuple[Burst, ...]
    events: Events
    cause: NDArray[np.int8]
    attackers: NDArray[np.bool_]
    targets: NDArray[np.int32]

    @property
    def start_ms(self) -> int:
        """The first moment in ms UTC."""
        return _start_ms(self.config)

    @property
    def user_ids(self) -> list[str]:
        """(U,) outside ids."""
        return _ids("u", len(self.attackers))

    @property
    def item_ids(self) -> list[str]:
        """(I,) outside ids."""
        return _ids("i", self.config.items)

    @property
    def item_tastes(self) -> NDArray[np.float64]:
        """(I, F) the taste vector of each item: what it is to each taste."""
        return self.catalogue.liking.T

    def moment_ms(self, share: float) -> int:
        """A share of the span as ms UTC."""
        return self.start_ms + int(share * self.config.days * 86_400_000)

    def taste(self, user: int, at_ms: int) -> NDArray[np.float64]:
        """(F,) the user's mixture of tastes at a moment in ms UTC."""
        mixture: NDArray[np.float64] = self.tastes.at(np.array([user]), np.array([self._seconds(at_ms)]))[0]
        return mixture

    def probabilities(
        self, user: int, at_ms: int, *, previous: int | None = None, seen: Iterable[int] = ()
    ) -> NDArray[np.float64]:
        """(I,) how likely an honest user takes each item next, at a moment in ms UTC; sums to 1.

        previous: the item before, None for a user's first event. seen: items that the user has taken; they
        have no chance unless the world allows repeats, and where nothing is left all is 0. This is the
        distribution that the events are drawn from, but for what a user's own redrawn repeats leave out.
        Raises ValueError for a fake user.
        """
        if self.attackers[user]:
            raise ValueError(f"user {user} is fake: its choices are no taste")
        seconds = self._seconds(at_ms)
        allowed = self.catalogue.there(seconds)
        if not self.config.repeats:
            allowed[list(seen)] = False
        chances = self._own_choice(user, at_ms, allowed)
        if previous is not None:
            follow = np.zeros_like(chances)
            np.add.at(follow, self.catalogue.successors[previous], self.config.sequence * SUCCESSOR_CHANCES)
            follow[~allowed] = 0.0
            chances = follow + (1.0 - follow.sum()) * chances
        for burst in self.bursts:
            if burst.start <= seconds < burst.end:
                hot = self._hot(burst) * allowed
                if hot.sum() > 0:
                    chances = burst.share * hot / hot.sum() + (1.0 - burst.share) * chances
        return chances

    def oracle(
        self, user: int, at_ms: int, k: int, *, previous: int | None = None, seen: Iterable[int] = ()
    ) -> NDArray[np.int64]:
        """(k,) the items most likely to come next, best first, equal ones by number: nothing ranks better."""
        chances = self.probabilities(user, at_ms, previous=previous, seen=seen)
        return np.argsort(-chances, kind="stable")[:k]

    def behind(self, user: int, item: int, at_ms: int) -> NDArray[np.float64]:
        """(F,) which of the user's tastes would be the one that takes the item, sums to 1: why it suits the user.

        With `shown` it tells which modality can explain a recommendation: the part that no other shows.
        """
        there = self.catalogue.there(self._seconds(at_ms))
        weights = self.catalogue.weights
        chances = self.taste(user, at_ms) * weights[:, item] / (weights * there).sum(axis=1)
        share: NDArray[np.float64] = chances / chances.sum()
        return share

    def interactions(self) -> pl.DataFrame:
        """The events as a canonical table, in order of user, then time."""
        assert self.events.timestamps is not None
        users = pl.Series(self.user_ids, dtype=pl.String).gather(self.events.users)
        items = pl.Series(self.item_ids, dtype=pl.String).gather(self.events.items)
        frame = pl.DataFrame({USER: users, ITEM: items, TIME: self.events.timestamps})
        return frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over(USER).alias(POSITION))

    def items(self) -> pl.DataFrame:
        """The catalogue as a canonical table: title, description, brand, categories, year."""
        return item_table(self.config, self.catalogue, self.item_ids, self.seed)

    def media(self) -> pl.DataFrame | None:
        """Pictures and sounds as a canonical table: item_id, modality, format, bytes; None where both are off.

        They are made at each call: the same each time, and some milliseconds for each.
        """
        return media_table(self.config, self.catalogue, self.item_ids, self.seed)

    def media_truth(self) -> pl.DataFrame:
        """For each item and modality that it has: `of`, the item that is really shown, and `cut`, whether short."""
        return media_truth(self.config, self.item_ids, self.seed)

    def shown(self, modality: Modality) -> NDArray[np.bool_]:
        """(F,) the tastes that show in the texts, the pictures or the sounds; none where these are off."""
        pictures, sounds = self.config.pictures, self.config.sounds
        shares: dict[Modality, float | None] = {
            TEXT: self.config.text_shows,
            IMAGE: None if pictures is None else pictures.shows,
            AUDIO: None if sounds is None else sounds.shows,
        }
        share, factors = shares[modality], self.config.factors
        return np.zeros(factors, dtype=bool) if share is None else shown_tastes(factors, modality, share)

    def info(self) -> DatasetInfo:
        """What `dataset.json` says."""
        notes = f"simulated with seed {self.seed}; not real people or items"
        return DatasetInfo(self.config.name, self.config.noun, self.config.verb, "second", LICENCE, notes)

    def dataset(self) -> Dataset:
        """The world as a data set, with the same dense numbers for users and items."""
        return Dataset.from_frames(self.interactions(), self.items(), self.media(), info=self.info())

    def write(self, folder: str | Path) -> None:
        """Write a data set folder, with the truth beside it in `truth/`. Raises StorageError.

        `truth/events` names the cause of each row of the interactions, `truth/users` who is fake and who
        drifts, `truth/items` when each item arrives and which are pushed, `truth/media` which pictures and sounds
        are of another item or cut short; `truth/world.json` makes it again.
        """
        from dynmm.interactions.loading import write_folder

        cause = pl.Series("cause", CAUSES, dtype=pl.String).gather(self.cause)
        users = {USER: self.user_ids, "attacker": self.attackers, "drifts": self.tastes.drifts}
        arrives = self.start_ms + (self.catalogue.arrives * 1000).astype(np.int64)
        pushed = np.isin(np.arange(self.config.items), self.targets)
        items = {ITEM: self.item_ids, "arrives": arrives, "pushed": pushed}
        interactions = self.interactions()
        extra = {
            "truth/events": interactions.select(USER, ITEM, TIME).with_columns(cause),
            "truth/users": pl.DataFrame(users),
            "truth/items": pl.DataFrame(items),
        }
        media = self.media()
        if media is not None:
            extra |= {MEDIA_FILE: media, "truth/media": self.media_truth()}
        write_folder(folder, interactions, self.items(), self.info(), extra)
        said = {"seed": self.seed, "config": self.config.model_dump(mode="json")}
        write_json(Path(folder) / "truth" / "world.json", said)

    def _seconds(self, at_ms: int) -> float:
        return (at_ms - self.start_ms) / 1000

    def _own_choice(self, user: int, at_ms: int, allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(I,) what taste and popularity say among the items that there are; then those allowed, to 1."""
        there = self.catalogue.there(self._seconds(at_ms))
        weights = self.catalogue.weights * there
        liked = self.taste(user, at_ms) @ (weights / weights.sum(axis=1, keepdims=True))
        popular = self.catalogue.popularity * there
        chances: NDArray[np.float64] = (1.0 - self.config.noise) * liked + self.config.noise * popular / popular.sum()
        chances[~allowed] = 0.0
        total = chances.sum()
        return chances / total if total > 0 else chances

    def _hot(self, burst: Burst) -> NDArray[np.float64]:
        hot = np.zeros(self.config.items)
        if burst.scope == "item":
            hot[burst.target] = 1.0
        else:
            members = self.catalogue.category == burst.target
            hot[members] = self.catalogue.popularity[members]
        return hot


def simulate(config: WorldConfig, seed: int) -> World:
    """Make a world. The same configuration and seed give the same bytes.

    Memory is some 100 bytes per event, plus factors x (users + items); never users x items.
    """
    n_users = config.users + (config.attack.users if config.attack else 0)
    fake = np.zeros(n_users, dtype=bool)
    fake[generator(seed, "who is fake").permutation(n_users)[config.users :]] = True
    catalogue = make_catalogue(config, seed)
    tastes = make_tastes(config, seed, n_users)
    bursts = make_bursts(config, catalogue, seed)
    sampler = Sampler(catalogue, tastes, config.noise)
    users, times = make_schedule(config, np.flatnonzero(~fake).astype(np.int32), seed)
    chooser = Chooser(catalogue, sampler, bursts, sequence=config.sequence, repeats=config.repeats)
    items, cause, keep = chooser.choose(users, times, generator(seed, "choices"))
    users, items, times, cause = users[keep], items[keep], times[keep], cause[keep]
    targets = np.empty(0, np.int32)
    if config.attack is not None:
        attackers = np.flatnonzero(fake).astype(np.int32)
        attack = make_attack(config.attack, config.days * 86_400, catalogue, sampler, attackers, seed)
        targets = attack.targets
        users, items = np.concatenate([users, attack.users]), np.concatenate([items, attack.items])
        times = np.concatenate([times, attack.times])
        cause = np.concatenate([cause, np.full(len(attack.users), ATTACK, dtype=np.int8)])
        order = np.lexsort((times, users))
        users, items, times, cause = users[order], items[order], times[order], cause[order]
    stamps = _start_ms(config) + times.astype(np.int64) * 1000
    return World(config, seed, catalogue, tastes, bursts, Events(users, items, stamps), cause, fake, targets)


def _start_ms(config: WorldConfig) -> int:
    return int(datetime.combine(config.start, time(), UTC).timestamp()) * 1000


def _ids(letter: str, number: int) -> list[str]:
    """Ids of one width, so that their order as text is their order as numbers."""
    width = max(4, len(str(number - 1)))
    return [f"{letter}{one:0{width}d}" for one in range(number)]
