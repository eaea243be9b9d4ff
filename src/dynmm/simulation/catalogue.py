"""The items of a world: when they arrive, what they are, and how much each taste wants them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynmm.catalogue.content import TEXT
from dynmm.randomness import generator
from dynmm.simulation.settings import WorldConfig
from dynmm.simulation.styles import shown_tastes

#: How much a category belongs to its second taste.
_SECOND = 0.4
SUCCESSORS = 3
#: How often the first, second and third successor of an item is the one that follows.
SUCCESSOR_CHANCES = np.array([0.6, 0.3, 0.1])


@dataclass(frozen=True, eq=False)
class Catalogue:
    """I items, F tastes. Times are seconds since the start of the world.

    arrives: (I,) float64, 0 for items that were there from the start. category: (I,) int32. popularity:
    (I,) float64, sums to 1. liking: (F, I) float64, what the item is to taste f, about 1 for its category's own;
    the columns are the items' taste vectors. weights: (F, I) float64, how likely taste f takes item i, up to a
    factor. main_taste: (I,) int32, the taste that wants the item most beyond its popularity, among those that
    texts tell of. successors: (I, SUCCESSORS) int32, items of the same category that tend to follow.
    """

    arrives: NDArray[np.float64]
    category: NDArray[np.int32]
    popularity: NDArray[np.float64]
    liking: NDArray[np.float64]
    weights: NDArray[np.float64]
    main_taste: NDArray[np.int32]
    successors: NDArray[np.int32]

    def there(self, time: float) -> NDArray[np.bool_]:
        """(I,) which items have arrived."""
        return self.arrives <= time


def make_catalogue(config: WorldConfig, seed: int) -> Catalogue:
    """Draw the items of a world."""
    random = generator(seed, "catalogue")
    category = _categories(config, random)
    arrives = _arrivals(config, category, random)
    rank = random.permutation(config.items) + 1.0
    unscaled = np.power(rank, -config.popularity_skew)
    popularity: NDArray[np.float64] = unscaled / unscaled.sum()
    liking = _liking(config, category, random)
    told = shown_tastes(config.factors, TEXT, config.text_shows)
    weights = popularity * np.exp(config.taste_strength * liking)
    return Catalogue(
        arrives,
        category,
        popularity,
        liking,
        weights / weights.sum(axis=1, keepdims=True),
        np.flatnonzero(told)[liking[told].argmax(axis=0)].astype(np.int32),
        _successors(category, popularity, generator(seed, "successors")),
    )


def _categories(config: WorldConfig, random: np.random.Generator) -> NDArray[np.int32]:
    """Every category has an item; beyond that the first are the largest."""
    size = 1.0 / np.sqrt(np.arange(config.categories) + 1.0)
    rest = random.choice(config.categories, config.items - config.categories, p=size / size.sum())
    return random.permutation(np.concatenate([np.arange(config.categories), rest])).astype(np.int32)


def _arrivals(config: WorldConfig, category: NDArray[np.int32], random: np.random.Generator) -> NDArray[np.float64]:
    span = config.days * 86_400
    arrives = np.where(random.random(config.items) < config.new_items, random.random(config.items) * span, 0.0)
    old = config.categories - config.new_categories
    if not (arrives[category < old] == 0).any():
        arrives[np.flatnonzero(category < old)[0]] = 0.0  # an empty shop has no first event
    for place in range(config.new_categories):
        opens = span * (0.2 + 0.6 * (place + 0.5) / config.new_categories)
        own = category == old + place
        arrives[own] = opens + random.random(own.sum()) * (span - opens) / 2
        arrives[np.flatnonzero(own)[0]] = opens
    return arrives


def _liking(config: WorldConfig, category: NDArray[np.int32], random: np.random.Generator) -> NDArray[np.float64]:
    """(F, I): 1 for a category's first taste, less for its second, and every item a little its own way.

    Texts name the category, so categories stand for those tastes alone that texts tell of.
    """
    told = np.flatnonzero(shown_tastes(config.factors, TEXT, config.text_shows))
    of_category = np.zeros((config.factors, config.categories))
    columns = np.arange(config.categories)
    of_category[told[random.integers(0, len(told), config.categories)], columns] = _SECOND
    of_category[told[columns % len(told)], columns] = 1.0
    return of_category[:, category] + config.item_spread * random.standard_normal((config.factors, len(category)))


def _successors(
    category: NDArray[np.int32], popularity: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int32]:
    """Drawn within the category by the root of popularity, so that they are not all the same few."""
    found = np.empty((len(category), SUCCESSORS), dtype=np.int32)
    for one in range(int(category.max()) + 1):
        members = np.flatnonzero(category == one)
        chances = np.cumsum(np.sqrt(popularity[members]))
        draws = np.searchsorted(chances, random.random((len(members), SUCCESSORS)) * chances[-1], side="right")
        found[members] = members[np.minimum(draws, len(members) - 1)]
    return found
