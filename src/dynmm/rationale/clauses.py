"""From the facts of a claim to the clauses that tell them: the one table of phrasings.

What is written and what is read both follow from it: a template takes the first clause of a kind, a language model may
take any, and verification knows no other. A clause can stand alone but for its capital and full stop. What it says of
people is plain about direction: only `followed` knows what came after what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dynmm.rationale.shown import quoted, spaced, unquoted_where_plain
from dynmm.rationale.words import Words, amount, listed, number, people

#: Words of a likeness that a claim names, at most.
_LIKENESS_WORDS = 3

Facts = Mapping[str, Any]

_ALIKE = {"image": "looks{} like", "audio": "sounds{} like", "text": "is described{} like"}
_CATEGORIES = {"category", "categories", "genre", "genres"}
_TAGS = {"tag", "tags"}


def claim_texts(kind: str, facts: Facts, words: Words) -> tuple[str, ...]:
    """Every clause that tells the facts of a claim, each once, the plain one first.

    All are true where one is, and none says more than the first.
    """
    return tuple(dict.fromkeys(_CLAUSES[kind](facts, words)))


def claim_text(kind: str, facts: Facts, words: Words) -> str:
    """The plain clause that tells the facts of a claim."""
    return claim_texts(kind, facts, words)[0]


def _sources(facts: Facts, words: Words) -> list[str]:
    """The named titles, and how many are not named."""
    parts = [quoted(title) for title in facts["titles"]]
    if facts.get("more"):
        parts.append(f"{facts['more']:,} more of your {words.nouns}")
    return parts


def _followed(facts: Facts, words: Words) -> list[str]:
    within = f"within their next {number(facts['within'])} {words.nouns}"
    if facts["within"] == 1:
        within = f"as their next {words.noun}"
    count, verb = amount(facts, "users"), words.verb
    if "window" in facts and (wide := amount(facts, "together_users")) != count:
        of_them, near = f"{count} of them {within}", _near(facts, words, "of it", "together_users")
        return [
            *(f"{takers} also {verb} this{near}, {of_them}" for takers in _takers(facts, wide, words)),
            *(f"{takers} {verb} this too{near}, {of_them}" for takers in _takers(facts, wide, words)),
        ]
    every = _takers(facts, count, words)
    return [
        *(f"{takers} {verb} this {within}" for takers in every),
        *(f"{takers} went on to this {within}" for takers in every),
        f"{within}, {every[0]} {verb} this",
    ]


def _together(facts: Facts, words: Words) -> list[str]:
    every, verb, near = _takers(facts, amount(facts, "users"), words), words.verb, _near(facts, words, "of it")
    return [
        *(f"{takers} also {verb} this{near}" for takers in every),
        *(f"{takers} {verb} this too{near}" for takers in every),
        f"{people(facts)} {verb} both {quoted(facts['titles'][0])} and this{_near(facts, words, 'of each other')}",
    ]


def _near(facts: Facts, words: Words, of: str, name: str = "users") -> str:
    """How near each other, where a count is exact. Of a bucket it is true of everybody who took both, who are more."""
    return f" within {facts['window']:,} {words.nouns} {of}" if name in facts else ""


def _takers(facts: Facts, count: str, words: Words) -> list[str]:
    """ "231 of the 1,204 people who watched “Gravity”", and the same the other way round."""
    whole, what = facts.get("source_users", 1), f"{words.verb} {quoted(facts['titles'][0])}"
    if whole > 1:
        return [f"{count} of the {whole:,} people who {what}", f"of the {whole:,} people who {what}, {count}"]
    return [f"{count} {'person' if count == '1' else 'people'} who {what}"]


def _union(facts: Facts, words: Words) -> list[str]:
    sources = _sources(facts, words)
    some, verb = ("at least one of " if len(sources) > 1 else "") + listed(sources), words.verb
    near = _near(facts, words, "of it")
    return [
        f"{people(facts)} who {verb} {some} also {verb} this{near}",
        f"{people(facts)} who {verb} {some} {verb} this too{near}",
        f"{people(facts)} {verb} this and {some}{_near(facts, words, 'of each other')}",
    ]


def _attribute(facts: Facts, words: Words) -> list[str]:
    sources, several = _sources(facts, words), len(facts["values"]) > 1
    shown = listed([quoted(value) if isinstance(value, str) else str(value) for value in facts["values"]])
    column, whole = facts["name"].lower(), "both" if len(sources) == 1 else "all"
    if facts["values"][0] is True:
        flag = quoted(spaced(facts["name"]))
        marked = f"{listed([*sources, 'this'])} are {whole} marked {flag}"
        return [marked, *_compared(sources, f"is marked {flag}", "is", "are")]
    if column == "title word":
        have = f"{listed([*sources, 'this'])} {whole} have {shown} in the title"
        return [have, *_compared(sources, f"has {shown} in the title", "has", "have")]
    if column in _CATEGORIES:
        held = f"in the {'categories' if several else 'category'} {shown}"
    elif column in _TAGS:
        held = f"tagged {shown}"
    elif column in ("brand", "year"):
        held = f"{'by' if column == 'brand' else 'from'} {shown}"
    elif not isinstance(facts["values"][0], str):
        same = f"the same {unquoted_where_plain(facts['name'])}"
        return [
            f"{listed([*sources, 'this'])} have {same}, {shown}",
            f"this has {same} as {listed(sources)}, {shown}",
        ]
    else:
        named = unquoted_where_plain(facts["name"])
        return [
            f"{listed([*sources, 'this'])} have {shown} in common ({named})",
            f"this has {shown} in common with {listed(sources)} ({named})",
            f"this shares {shown} with {listed(sources)} ({named})",
        ]
    return [f"{listed([*sources, 'this'])} are {whole} {held}", *_compared(sources, f"is {held}", "is", "are")]


def _compared(sources: list[str], this: str, one: str, many: str) -> list[str]:
    """What this is or has, as others are or have."""
    be = one if len(sources) == 1 else many
    return [f"this {this}, as {listed(sources)} {be}", f"like {listed(sources)}, this {this}"]


def _alike(facts: Facts, _words: Words) -> list[str]:
    degree = "" if facts["degree"] == "plainly" else f" {facts['degree']}"
    verb = _ALIKE.get(facts["modality"], "is{} like").format(degree)
    other = "" if facts["modality"] in _ALIKE else f" in {unquoted_where_plain(facts['modality'])}"
    exact = f" (cosine {facts['cosine']})" if "cosine" in facts else ""
    held = ", ".join(unquoted_where_plain(word) for word in facts["attributes"][:_LIKENESS_WORDS])
    source = quoted(facts["titles"][0])
    told = [f"this {verb} {source}{other}{exact}", f"{source} {verb} this{other}{exact}"]
    return [f"{one}, both: {held}" for one in told] + [f"{one} (both: {held})" for one in told] if held else told


def _trend(facts: Facts, words: Words) -> list[str]:
    days = f"{facts['days']:,} days" if facts["days"] != 1 else "day"
    when = f"the {days} up to {facts['until']}"
    rank = f", which is rank {facts['rank']:,} among all {words.nouns}" if "rank" in facts else ""
    return [
        f"{people(facts)} {words.verb} this in {when}{rank}",
        f"{people(facts)} {words.verb} this over {when}{rank}",
        f"in {when}, {people(facts)} {words.verb} this{rank}",
    ]


def _taken(facts: Facts, words: Words) -> list[str]:
    told = f"{people(facts)} {words.verb} this"
    return [f"{told} in all", f"{told} in total", f"in all, {told}"]


_CLAUSES: dict[str, Callable[[Facts, Words], list[str]]] = {
    "followed": _followed,
    "together": _together,
    "union": _union,
    "attribute": _attribute,
    "alike": _alike,
    "trend": _trend,
    "taken": _taken,
}
