"""What rationales say: whether it recomputes, stays the same, and how often and how much may be said in each view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dynmm.evaluation.explaining import Asked, Explainer, Explaining, Tellable, Verifier, Writer
from dynmm.evaluation.scores import Resampling, Users, intervals, json_ready
from dynmm.evaluation.variety import variety
from dynmm.randomness import generator
from dynmm.system import PADDING
from dynmm.types import Claim, Rationale

#: View and k. The operator's is exact.
VIEWS: tuple[tuple[str, int], ...] = (("operator", 1), ("public", 5), ("public", 20))

#: Candidates that are put in two orders where a query names none.
SHUFFLED = 50


@dataclass(frozen=True, eq=False)
class Spoken:
    """The rationales of one view, with whether each claim recomputes. tellable: the share that could be told, where
    it was measured."""

    view: str
    k: int
    rationales: list[Rationale] = field(default_factory=list)
    recomputed: list[Sequence[bool]] = field(default_factory=list)
    tellable: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As the tables write it."""
        return self.view if self.view == "operator" else f"{self.view} k={self.k}"


@dataclass(frozen=True, eq=False)
class ClaimsFound:
    """asked: B explanations. spoken: their rationales in each view. repeated, permuted: for each explanation, whether
    asking again, or with the candidates in another order, gave the same claims. attributes, n_items: of the catalogue.
    """

    asked: Sequence[Asked]
    spoken: Sequence[Spoken]
    repeated: Sequence[bool]
    permuted: Sequence[bool]
    attributes: Collection[str]
    n_items: int
    how: Resampling

    def to_json(self) -> dict[str, Any]:
        """Shares with 95 % intervals over users, by view."""
        told = {
            "explanations": len(self.asked),
            "users": len(Users(self._users)),
            "consistency": {"repeated": _share(self.repeated), "permuted": _share(self.permuted)},
            "views": {one.name: self._view(one) for one in self.spoken},
        }
        plain: dict[str, Any] = json_ready(told)
        return plain

    @property
    def _users(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([one.user for one in self.asked], dtype=np.int64)

    def _view(self, spoken: Spoken) -> dict[str, Any]:
        users = Users(self._users)
        columns = {
            "abstention": np.array([one.abstains for one in spoken.rationales], dtype=float),
            "told": np.array([one.told for one in spoken.rationales], dtype=float),
            "claims": np.array([len(one.claims) for one in spoken.rationales], dtype=float),
        }
        if spoken.tellable:
            columns["tellable"] = np.array(spoken.tellable, dtype=float)
        bounds = intervals(list(columns.values()), users, self.how)
        checks = [held for one in spoken.recomputed for held in one]
        named = [(one.user, rationale) for one, rationale in zip(self.asked, spoken.rationales, strict=True)]
        kinds = Counter(claim.kind for one in spoken.rationales for claim in one.claims)
        return {
            "k": spoken.k,
            **{
                name: {"mean": users.mean(column), "ci95": list(ci95)}
                for (name, column), ci95 in zip(columns.items(), bounds, strict=True)
            },
            "recompute": {"claims": len(checks), "share": _share(checks)},
            "kinds": dict(sorted(kinds.items())),
            "variety": variety(named, self.attributes, self.n_items, seed=self.how.seed).to_json(),
        }


def _share(held: Sequence[bool]) -> float:
    return sum(held) / len(held) if len(held) else float("nan")


def measure_claims(
    explaining: Explaining,
    write: Writer,
    verify: Verifier,
    asked: Sequence[Asked],
    *,
    attributes: Collection[str],
    n_items: int,
    tellable: Tellable | None = None,
    views: Sequence[tuple[str, int]] = VIEWS,
    how: Resampling | None = None,
    progress: Callable[[float], None] | None = None,
) -> ClaimsFound:
    """The rationales of these recommendations in each view, of what is explained to that view, each claim recomputed.

    Consistency is measured in the first view. All is asked once more after everything was asked, from the last to the
    first, so that whatever a system keeps between requests would show. progress: called with the share done.
    Raises ValueError where the verifier does not answer for each claim.
    """
    spoken = [Spoken(view, k) for view, k in views]
    explainers = [explaining(view, k) for view, k in views]
    for number, one in enumerate(asked):
        for explainer, there in zip(explainers, spoken, strict=True):
            explained = explainer.explain(one.query, one.item)
            rationale = write(one.query, explained, there.view, there.k)
            held = verify(rationale)
            if len(held) != len(rationale.claims):
                raise ValueError(f"{len(held)} verdicts on {len(rationale.claims)} claims for {rationale.item!r}")
            there.rationales.append(rationale)
            there.recomputed.append(held)
            if tellable is not None:
                there.tellable.append(tellable(explained, there.view, there.k))
        if progress is not None:
            progress((number + 1) / (2 * len(asked)))
    again: list[tuple[bool, bool]] = []
    for number, one in reversed(list(enumerate(asked))):
        claims = _claims(explainers[0], write, one, *views[0])
        first, second = (_claims(explainers[0], write, same, *views[0]) for same in _reordered(explainers[0], one, how))
        again.append((claims == spoken[0].rationales[number].claims, first == second))
        if progress is not None:
            progress(0.5 + len(again) / (2 * len(asked)))
    again.reverse()
    return ClaimsFound(
        asked, spoken, [one for one, _ in again], [one for _, one in again], attributes, n_items, how or Resampling()
    )


def _claims(explainer: Explainer, write: Writer, one: Asked, view: str, k: int) -> tuple[Claim, ...]:
    return write(one.query, explainer.explain(one.query, one.item), view, k).claims


def _reordered(explainer: Explainer, one: Asked, how: Resampling | None) -> list[Asked]:
    """The same question twice, its candidates in two random orders."""
    candidates = one.query.candidates
    if candidates is None:
        best = explainer.rank([one.query], SHUFFLED).items[0]
        candidates = np.union1d(best[best != PADDING], [one.item])
    rng = generator(0 if how is None else how.seed, "order of candidates", one.user, one.item)
    orders = [rng.permutation(candidates).astype(np.int32) for _ in range(2)]
    return [replace(one, query=replace(one.query, candidates=order)) for order in orders]
