"""How tastes become looks and tones: fixed random projections of what an item is to each taste."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from dynmm.catalogue.content import AUDIO, IMAGE, TEXT, Modality
from dynmm.randomness import generator

#: Where on the circle of tastes each modality begins to show them. With a third each they share none.
_BEGINS: Mapping[Modality, float] = {TEXT: 0.0, IMAGE: 1 / 3, AUDIO: 2 / 3}


def shown_tastes(factors: int, modality: Modality, share: float) -> NDArray[np.bool_]:
    """(F,) the tastes that a modality tells of: a run of the circle of tastes, one at least."""
    count = max(1, round(share * factors))
    shown = np.zeros(factors, dtype=bool)
    shown[(round(_BEGINS[modality] * factors) + np.arange(count)) % factors] = True
    return shown


def styles(
    liking: NDArray[np.float64], shown: NDArray[np.bool_], traits: int, follows: float, seed: int, modality: Modality
) -> NDArray[np.float64]:
    """(I, traits) in (0, 1), each trait spread over its whole range: a style of every item.

    liking: (F, I) how much each taste likes each item, of which the `shown` rows count. follows: 1 gives
    equal tastes equal styles, 0 gives styles that know nothing of taste.
    """
    tastes = liking[shown].T
    spread = tastes.std(axis=0)
    tastes = (tastes - tastes.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    told = tastes @ _projection(tastes.shape[1], traits, generator(seed, modality, "projection"))
    own = generator(seed, modality, "own style").standard_normal(told.shape)
    style: NDArray[np.float64] = ndtr(follows * told + np.sqrt(1.0 - follows**2) * own)
    return style


def _projection(tastes: int, traits: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(tastes, traits) with columns of length 1; rows at right angles before that, so that no taste gets lost."""
    drawn = random.standard_normal((max(tastes, traits), min(tastes, traits)))
    basis = np.linalg.qr(drawn)[0]
    turned = basis.T if tastes <= traits else basis
    scaled: NDArray[np.float64] = turned / np.linalg.norm(turned, axis=0)
    return scaled
