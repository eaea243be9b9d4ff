"""Small frozen values that travel between stages. Ids in here are dense integers unless said otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer]
FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]

#: Stands for "no timestamp" in int64 arrays of milliseconds UTC.
NO_TIME = np.iinfo(np.int64).min

_EMPTY = np.empty(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class UserHistory:
    """What one user did, oldest first.

    items: (L,) int32 dense item ids. timestamps: (L,) int64 ms UTC, or None where the data has no time.
    """

    items: IntArray = field(default_factory=lambda: _EMPTY)
    timestamps: IntArray | None = None

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, eq=False)
class Events:
    """A batch of interactions as columns, N rows, in the order in which they happened.

    users, items: (N,) int32 dense ids. timestamps: (N,) int64 ms UTC (`NO_TIME` where unknown), or None
    where the data has no time. ratings, weights: (N,) float32 or None.
    """

    users: IntArray
    items: IntArray
    timestamps: IntArray | None = None
    ratings: FloatArray | None = None
    weights: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: IntArray | BoolArray | slice) -> Events:
        """The chosen rows, in the order given."""

        def pick(column: NDArray[Any] | None) -> Any:
            return None if column is None else column[rows]

        return Events(
            self.users[rows],
            self.items[rows],
            pick(self.timestamps),
            pick(self.ratings),
            pick(self.weights),
        )


@dataclass(frozen=True)
class Recommendation:
    """One recommended item, with ids as the outside world writes them.

    explained, rationale: where they were asked for, the parts of the score and why the item is recommended. degraded:
    why the re-ranker did not answer (deadline, memory, model or not_finite), so that the order is that of the stages
    below it; None where it did, or where there is none.
    """

    item: str
    score: float
    title: str | None = None
    explained: Explained | None = None
    rationale: Rationale | None = None
    degraded: str | None = None


@dataclass(frozen=True)
class SimilarItem:
    """An item that is like another.

    score: the cosine of the two latents. parts: what each modality adds to it; they sum to the score. reason: the
    strongest modality in words, None where none brings the two together. attributes: words that hold for both.
    """

    item: str
    score: float
    title: str | None
    parts: dict[str, float]
    reason: str | None
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """A fact of the stores that speaks for one item to one user, on outside ids.

    id: names the fact so that it can be looked up again, see `factids.FactId`. kind: one of `factids.FACT_KINDS`. item:
    what it speaks for. sources: items of the user's history that it starts from, newest first; none for what is known
    of the item alone. facts: what is stored, JSON values by name. contribution: what the fact adds to the score, exact
    within the evidence term.
    """

    id: str
    kind: str
    item: str
    sources: tuple[str, ...]
    facts: Mapping[str, Any]
    contribution: float

    def as_json(self) -> dict[str, Any]:
        """The same as one JSON object."""
        return {**vars(self), "sources": list(self.sources), "facts": dict(self.facts)}


@dataclass(frozen=True)
class Explained:
    """The parts of one item's score for one user. They sum to the score.

    Exact whatever the view, and so for the operator alone: what others may read of it is `rationale.parts.shown_parts`.

    item: outside id. contributions: `latent`, `evidence` (and `rerank` where there is one). evidence: the facts behind
    the evidence term that can be told, strongest first. rest: what the evidence term holds beyond them. rank: 1 is
    best, 0 where the item is no candidate. as_of_offset: events in the log when this was computed. rest_raises: what
    of the rest raises the score, more than the rest where some of it lowers the score; None where nobody asked.
    degraded: why the re-ranker did not answer, see `Recommendation`; then `rerank` is 0.
    """

    item: str
    score: float
    rank: int
    contributions: Mapping[str, float]
    evidence: tuple[Evidence, ...]
    rest: float
    as_of_offset: int
    rest_raises: float | None = None
    degraded: str | None = None


@dataclass(frozen=True)
class Claim:
    """One checkable statement. Every number, name and attribute in its text stands in its facts.

    evidence: ids of the facts it cites. facts: JSON values by name.
    """

    kind: str
    text: str
    evidence: tuple[str, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Rationale:
    """Why an item is recommended to a user: claims, and the sentences made of them.

    user: None where the history came with the request. text: empty of reasons where nothing may be said, which it
    then says. view: operator or public. k: so many distinct people must stand behind a public count. told: share of
    the evidence term's positive part that the claims cover, 0 to 1.
    """

    user: str | None
    item: str
    text: str
    as_of_offset: int
    claims: tuple[Claim, ...]
    view: str
    k: int
    told: float

    @property
    def abstains(self) -> bool:
        """True where there is nothing that may be said."""
        return not self.claims

    def as_json(self) -> dict[str, Any]:
        """The RATIONALE object of every output."""
        claims = [
            {"kind": one.kind, "text": one.text, "evidence": list(one.evidence), "facts": dict(one.facts)}
            for one in self.claims
        ]
        return {**vars(self), "claims": claims}


@dataclass(frozen=True)
class OneOf:
    """Several ways to say the same, at least one; the first is the plain one."""

    ways: tuple[Phrase, ...]


#: What may be written: a text, parts one after the other, or one of several ways. So it is a finite set of texts.
Phrase: TypeAlias = "str | tuple[Phrase, ...] | OneOf"


@dataclass(frozen=True)
class WhatIf:
    """One item's score as it is, and recomputed from the history and the facts as if some were not there.

    without: ids of facts and of history items that were taken away. before, after: everything recomputed, and exact:
    for the operator. To others `changes_rank` and the ranks may be told.
    """

    without: tuple[str, ...]
    before: Explained
    after: Explained

    @property
    def adds(self) -> float:
        """What was taken away adds to the evidence. Of a fact it is its contribution."""
        return self.before.contributions["evidence"] - self.after.contributions["evidence"]

    @property
    def contributes(self) -> float:
        """What the score loses without it, all stages recomputed: the latent too for a history item, and what a
        re-ranker makes of the rest."""
        return self.before.score - self.after.score

    @property
    def changes_rank(self) -> bool:
        """Whether the item would stand elsewhere without it. Much may contribute and change no rank."""
        return self.before.rank != self.after.rank

    @property
    def text(self) -> str:
        """The difference in words."""
        where = (
            f"rank {self.before.rank} would be {self.after.rank}" if self.changes_rank else "the rank would not change"
        )
        score = f"the score {self.before.score:.4f} would be {self.after.score:.4f}"
        return f"{self.added}; without it {score}, and {where}"

    @property
    def added(self) -> str:
        """What it adds to the evidence, in words."""
        how = "adds {:.4f} to" if self.adds >= 0 else "takes {:.4f} from"
        return f"it {how.format(abs(self.adds))} the evidence"


@dataclass(frozen=True)
class Explanation:
    """Why an item stands where it stands for a user. what_if: where something was to be left out."""

    explained: Explained
    rationale: Rationale
    what_if: WhatIf | None = None
