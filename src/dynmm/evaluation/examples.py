"""The part of the report on some users: what they were recommended and why, each reason with its facts to unfold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from dynmm.types import Explained, Rationale

STYLE = """
.example li { margin-bottom: .9rem } .example p { margin: .2rem 0 } .example .abstains { color: #555 }
.parts { display: flex; max-width: 22rem; height: .55rem; background: #eee } .parts span { height: 100% }
.part0 { background: #1f6f8b } .part1 { background: #e0a030 } .part2 { background: #8a5a9e }
.key { display: inline-block; width: .7rem; height: .7rem; margin: 0 .25rem 0 .6rem }
summary { cursor: pointer; font-size: .87rem } code { font-size: .8rem; overflow-wrap: anywhere }
"""

#: Parts of a score below this round to nothing.
_LEAST = 5e-5


@dataclass(frozen=True)
class Recommended:
    """One recommended item, and why.

    rationale: as its reader is shown it. clauses: by the id of a fact, the fact in words. tellable: share of the
    evidence that could be told in public, 0 to 1, if all of that were. what_if: a sentence on what would be without
    one thing, None where there is nothing to take away.
    """

    title: str
    explained: Explained
    rationale: Rationale
    clauses: Mapping[str, str]
    tellable: float
    what_if: str | None = None


@dataclass(frozen=True)
class Example:
    """What one user was recommended. history: titles, newest first. recommended: best first."""

    user: str
    history: Sequence[str]
    recommended: Sequence[Recommended]


def examples(shown: Sequence[Example], checked: str, verb: str) -> list[str]:
    """HTML of the examples. All text from outside is escaped, and titles cannot turn the text around them.

    checked: a sentence on how the claims were checked. verb: of the data, "watched".
    """
    if not shown:
        return []
    how = (
        "A score is the sum of what the latent gives and of what facts add. Beneath each title stands the reason as "
        "anyone may read it; the facts to unfold are exact, as whoever runs this sees them. What would be without "
        "something is recomputed from the start, latent and all."
    )
    told = ["<h2>Recommendations for some users, and why</h2>", f"<p>{how} {escape(checked)}</p>"]
    told.append(f'<p class="foot">{_key(shown)}</p>')
    for example in shown:
        told += _example(example, verb)
    return told


def _key(shown: Sequence[Example]) -> str:
    names = dict.fromkeys(name for one in shown for each in one.recommended for name in each.explained.contributions)
    return "Bars: " + "".join(
        f'<span class="key part{place}"></span>{escape(name)}' for place, name in enumerate(names)
    )


def _example(example: Example, verb: str) -> list[str]:
    history = ", ".join(isolated(title) for title in example.history)
    told = [
        f'<section class="example"><h3>User {isolated(example.user)}</h3>',
        f"<p>{escape(verb.capitalize())}, newest first: {history}</p>",
        "<ol>",
    ]
    for place, one in enumerate(example.recommended):
        # The first is open, so that a reader sees what there is to unfold.
        told.append(f"<li>{''.join(_recommended(one, opened=place == 0))}</li>")
    return [*told, "</ol></section>"]


def _recommended(one: Recommended, *, opened: bool) -> list[str]:
    silent = ' class="abstains"' if one.rationale.abstains else ""
    return [
        f"<b>{isolated(one.title)}</b>",
        _bar(one.explained),
        f"<p{silent}>{isolated(one.rationale.text)}</p>",
        f"<details{' open' if opened else ''}><summary>{_summary(one)}</summary>",
        _facts(one),
        *(f"<p>{isolated(sentence)}</p>" for sentence in _remarks(one)),
        "</details>",
    ]


def _bar(explained: Explained) -> str:
    """The parts of a score side by side, each as long as its share of all that raises the score; and in figures."""
    parts = explained.contributions
    whole = sum(max(0.0, part) for part in parts.values())
    if whole <= 0.0:
        return _sum(explained)
    bars = "".join(
        f'<span class="part{place}" style="width:{100 * max(0.0, part) / whole:.1f}%"></span>'
        for place, part in enumerate(parts.values())
    )
    return f'<div class="parts">{bars}</div>{_sum(explained)}'


def _sum(explained: Explained) -> str:
    parts = " + ".join(f"{escape(name)} {part:.4f}" for name, part in explained.contributions.items())
    return f'<p class="foot">score {explained.score:.4f} = {parts}</p>'


def _summary(one: Recommended) -> str:
    count = len(one.explained.evidence)
    return f"{count} {'fact' if count == 1 else 'facts'} behind it" if count else "No single fact stands behind it"


def _facts(one: Recommended) -> str:
    """What each fact says, what it adds to the score, and the id by which anyone can look it up again."""
    explained = one.explained
    if not explained.evidence:
        return ""
    rows = "".join(
        f"<tr><td>{isolated(one.clauses.get(fact.id, fact.kind))}</td><td>{fact.contribution:+.4f}</td>"
        f"<td><code>{escape(fact.id)}</code></td></tr>"
        for fact in explained.evidence
    )
    if abs(explained.rest) >= _LEAST:
        rows += f"<tr><td>all other facts together</td><td>{explained.rest:+.4f}</td><td></td></tr>"
    return f"<table><thead><tr><th>fact</th><th>adds</th><th>id</th></tr></thead><tbody>{rows}</tbody></table>"


def _remarks(one: Recommended) -> list[str]:
    rationale = one.rationale
    told = []
    if one.explained.evidence:
        told.append(
            f"Of what facts add here, {one.tellable:.0%} could be told in public, where {rationale.k} people must "
            f"stand behind every count; the reason above tells {_share(rationale)}."
        )
    return told if one.what_if is None else [*told, one.what_if]


def _share(rationale: Rationale) -> str:
    if rationale.abstains:
        return "nothing"
    if rationale.view == "operator":
        return f"{rationale.told:.0%}"
    # The public view rounds down to tenths.
    return f"at least {rationale.told:.0%}" if rationale.told > 0 else "less than 10%"


def isolated(text: str) -> str:
    """Escaped, and in an element of its own: marks of direction within it end with it."""
    return f"<bdi>{escape(text)}</bdi>"
