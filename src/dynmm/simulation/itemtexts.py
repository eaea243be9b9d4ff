"""What a world's items are called and said to be."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dynmm.interactions.fields import BRAND, CATEGORIES, DESCRIPTION, ITEM, TITLE, YEAR
from dynmm.randomness import generator
from dynmm.simulation.catalogue import Catalogue
from dynmm.simulation.settings import WorldConfig
from dynmm.simulation.words import ADJECTIVES, NOUNS, TRAITS, brand, nth, with_article

#: Makers per category; some make things of two categories.
_BRANDS_PER_CATEGORY = 4
_OLDEST = 30


def item_table(config: WorldConfig, catalogue: Catalogue, item_ids: list[str], seed: int) -> pl.DataFrame:
    """One row per item: title, description, brand, categories and year.

    The noun tells the category, the adjective the taste that likes the item most, and an item that arrives
    during the span is of that year.
    """
    random = generator(seed, "texts")
    size = config.items
    makers = catalogue.category * (_BRANDS_PER_CATEGORY - 1) + random.integers(0, _BRANDS_PER_CATEGORY, size)
    trait = np.where(random.random(size) < 0.7, catalogue.main_taste, random.integers(0, len(TRAITS), size))
    age = np.floor(_OLDEST * random.random(size) ** 2).astype(int)
    rows = []
    for item, number in enumerate(_numbers(catalogue, random)):
        noun = nth(NOUNS, int(catalogue.category[item]))
        adjective = nth(ADJECTIVES, int(catalogue.main_taste[item]))
        maker = brand(int(makers[item]))
        words = {"adjective": adjective, "noun": noun, "number": number, "brand": maker, "category": noun}
        about = nth(TRAITS, int(trait[item])).lower()
        said = f"{with_article(adjective.lower())} {config.noun} of {about}, made by {maker}."
        rows.append((item_ids[item], config.title_template.format(**words), said, maker, [noun]))
    schema = {
        ITEM: pl.String(),
        TITLE: pl.String(),
        DESCRIPTION: pl.String(),
        BRAND: pl.String(),
        CATEGORIES: pl.List(pl.String()),
    }
    day = np.floor(catalogue.arrives / 86_400).astype(int)
    arrived = [(np.datetime64(config.start) + one).astype("datetime64[Y]").astype(int) + 1970 for one in day]
    years = np.where(catalogue.arrives > 0, arrived, config.start.year - 1 - age)
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.Series(YEAR, years, dtype=pl.Int16))


def _numbers(catalogue: Catalogue, random: np.random.Generator) -> list[int]:
    """A number for each item, distinct among those of the same category, in no order that tells of arrival."""
    numbers: NDArray[np.int64] = np.empty(len(catalogue.category), dtype=np.int64)
    for category in range(int(catalogue.category.max()) + 1):
        members = np.flatnonzero(catalogue.category == category)
        numbers[members] = random.permutation(len(members)) + 1
    return [int(one) for one in numbers]
