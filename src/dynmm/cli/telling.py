"""Scores and reasons as the command line tells them: exact to the operator, in words and coarse bars to the public."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dynmm.cli.common import visible
from dynmm.rationale.claims import positive_part
from dynmm.rationale.parts import shown_parts
from dynmm.rationale.privacy import Part, coarse
from dynmm.rationale.shown import clean
from dynmm.types import Evidence, Explained, Rationale, WhatIf

if TYPE_CHECKING:
    from dynmm.language.writing import WritingReport
    from dynmm.rationale.settings import RationaleSettings
    from dynmm.recommender import Recommender

#: Blocks in a bar.
_BLOCKS = 5

#: An attribute's value is shown so far.
_VALUE = 60


@dataclass(frozen=True)
class Reasons:
    """Why one item is recommended, for the view that its rationale was written for. n_items: at the fit."""

    explained: Explained
    rationale: Rationale
    settings: RationaleSettings
    n_items: int

    @classmethod
    def of(cls, explained: Explained, rationale: Rationale, recommender: Recommender) -> Reasons:
        """As the recommender gave them."""
        from dynmm.config import Config

        settings = Config.of(recommender.facts["config"]).rationale
        own = settings.model_copy(update={"view": rationale.view, "k": rationale.k})
        return cls(explained, rationale, own, recommender.known.n_items)

    @property
    def exact(self) -> bool:
        """True for the operator."""
        return self.rationale.view == "operator"

    def as_json(self) -> dict[str, Any]:
        """`contributions` and `rationale`, and for the operator the facts by name with what each adds."""
        parts, rationale = self._parts(), self.rationale.as_json()
        if not self.exact:
            return {"contributions": parts, "rationale": rationale}
        evidence = [one.as_json() for one in self.explained.evidence]
        return {"contributions": parts, "rationale": rationale, "evidence": evidence, "rest": self.explained.rest}

    def lines(self) -> Iterator[str]:
        """The parts of the score, the sentences, and under them the facts with what each adds.

        Behind the public's parts stands from how many people on it is told of people.
        """
        shown = (f"{part:+.4f}" if self.exact else _bar(Part(**part)) for part in self._parts().values())
        parts = ", ".join(f"{name} {part}" for name, part in zip(self._parts(), shown, strict=True))
        yield parts if self.exact else f"{parts}; people from k = {self.rationale.k} on"
        yield self.rationale.text
        yield from (f"  {line}" for line in (self._facts() if self.exact else self._claims()))

    def _parts(self) -> dict[str, Any]:
        """Numbers for the operator; for the public a word and a bar each, what may not be told in one `remainder`."""
        shown = shown_parts(self.explained, self.settings, self.n_items)
        found: dict[str, Any] = shown["contributions" if self.exact else "parts"]
        return found

    def _facts(self) -> Iterator[str]:
        yield from (_fact(one) for one in self.explained.evidence)
        yield f"{self.explained.rest:+.4f}  the rest of the evidence"

    def _claims(self) -> Iterator[str]:
        """Each claim with the share that the facts it cites have in all that raises the score."""
        adds = {one.id: one.contribution for one in self.explained.evidence}
        amounts = [sum(adds.get(cited, 0.0) for cited in claim.evidence) for claim in self.rationale.claims]
        rest = positive_part(self.explained) - sum(amounts)
        others = {name: part for name, part in self.explained.contributions.items() if name != "evidence"}
        told = {str(place): amount for place, amount in enumerate(amounts)}
        parts = coarse({**others, **told, "rest": rest}, self.settings)
        for place, claim in enumerate(self.rationale.claims):
            yield f"{_bar(parts[str(place)]):<{_BLOCKS + 14}}  {claim.text}"
        yield f"{_bar(parts['rest']):<{_BLOCKS + 14}}  the rest of the evidence"


def title_of(title: str | None) -> str:
    """A title as one line of visible text; empty where there is none."""
    return clean(title or "")


def what_if_json(found: WhatIf, reasons: Reasons) -> dict[str, Any]:
    """The score and the rank without some facts or history items; for the public no score, which is exact."""
    adds = found.adds if reasons.exact else vars(_added(found, reasons.settings))
    return {
        "without": list(found.without),
        "adds": adds,
        "changes_rank": found.changes_rank,
        "rank": found.after.rank,
        "score": found.after.score if reasons.exact else None,
        "text": " ".join(_what_if(found, reasons)),
    }


def what_if_lines(found: WhatIf, reasons: Reasons) -> Iterator[str]:
    """What was taken away, what it adds to the evidence, and where the item would stand without it."""
    yield f"without {visible(', '.join(found.without))}:"
    yield from (f"  {line}" for line in _what_if(found, reasons))


def _what_if(found: WhatIf, reasons: Reasons) -> tuple[str, str]:
    """Two sentences: what it adds, and what would be without it. A re-ranker may make more of it, or less."""
    if reasons.exact:
        return (
            f"{found.added.capitalize()}.",
            f"Without it the score would be {found.after.score:.4f}, and {_place(found)}.",
        )
    word = _added(found, reasons.settings).word
    adds = "nothing to the evidence" if word == "none" else f"{word} of what raises the score"
    return f"It adds {adds}.", f"Without it {_place(found)}."


def _place(found: WhatIf) -> str:
    before, after = found.before.rank, found.after.rank
    if not before:
        return "the item would still have no rank"
    return f"the rank would change, from {before} to {after}" if found.changes_rank else f"the rank would stay {before}"


def _added(found: WhatIf, settings: RationaleSettings) -> Part:
    """What was taken away as its share of all that raises the score."""
    whole = sum(max(0.0, part) for part in found.before.contributions.values())
    return coarse({"it": found.adds, "others": whole - found.adds}, settings)["it"]


def _bar(part: Part) -> str:
    return f"{'█' * part.bar}{'░' * (_BLOCKS - part.bar)} {part.word}"


def _fact(one: Evidence) -> str:
    """`+0.5120  followed:31>260  users 22, within 3, source_users 25`."""
    return f"{one.contribution:+.4f}  {one.id}  {_stored(one.facts)}"


def _stored(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{visible(name)} {_value(value)}" for name, value in facts.items() if value != [])


def _value(value: Any) -> str:
    if isinstance(value, str):
        return clean(value, _VALUE)
    if isinstance(value, Sequence):
        return " ".join(map(_value, value))
    return json.dumps(value)


def writing_json(report: WritingReport | None) -> dict[str, Any] | None:
    """How many reasons of an answer the language model worded; None where none writes."""
    return None if report is None else {"accepted": report.accepted, "replaced": dict(report.replaced)}


def writing_line(report: WritingReport | None) -> str | None:
    """The same as a line; None too where there was no reason to word, for every item abstains."""
    if report is None or not report.accepted + sum(report.replaced.values()):
        return None
    replaced = sum(report.replaced.values())
    line = f"{report.accepted:,} of {report.accepted + replaced:,} reasons are in the language model's words"
    if replaced:
        why = ", ".join(f"{count:,} {why}" for why, count in sorted(report.replaced.items()))
        line += f"; plain words stand for the others ({why})"
    return line
