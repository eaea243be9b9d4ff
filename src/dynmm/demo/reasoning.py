"""Recommendations with their reasons for the report: facts in words, what may be told, and what would be without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dynmm.assembly import store_of
from dynmm.config import Config
from dynmm.evaluation.examples import Example, Recommended
from dynmm.factids import FactId
from dynmm.interactions.dataset import DatasetInfo
from dynmm.protocols import FactStore
from dynmm.rationale.claims import tellable_share
from dynmm.rationale.clauses import claim_text
from dynmm.rationale.grounds import Grounds, claim_facts
from dynmm.rationale.settings import RationaleSettings, View
from dynmm.rationale.shown import clean, shown_titles
from dynmm.rationale.words import Words
from dynmm.recommender import Recommender
from dynmm.types import Evidence, Explained, Recommendation

#: How much of a history is shown, and how many items are recommended.
SHOWN = 5


def example(recommender: Recommender, user: str) -> Example:
    """What one user had last, is recommended next, and why. Titles are made safe to show."""
    store = store_of(recommender)
    newest = recommender.history(user)[::-1][:SHOWN]
    titles = shown_titles(newest, store)
    listed = recommender.recommend(user, SHOWN, explain=True, view="public")
    reasoned = [_reasoned(recommender, user, one, store) for one in listed]
    return Example(clean(user) or "?", [titles[item] for item in newest], reasoned)


def _reasoned(recommender: Recommender, user: str, one: Recommendation, store: FactStore) -> Recommended:
    explained, rationale = one.explained, one.rationale
    assert explained is not None, "explanations were asked for"
    assert rationale is not None, "explanations were asked for"
    public = _settings(recommender, "public")
    named = [one.item, *(source for fact in explained.evidence for source in fact.sources)]
    titles = shown_titles(named, store)
    return Recommended(
        title=titles[one.item],
        explained=explained,
        rationale=rationale,
        clauses={
            fact.id: clause(fact, titles, recommender.known.info, _settings(recommender, "operator"))
            for fact in explained.evidence
        },
        tellable=tellable_share(explained, public, store.n_items),
        what_if=what_if(recommender, user, explained, titles),
    )


def _settings(recommender: Recommender, view: View) -> RationaleSettings:
    """As the run is configured, for one view."""
    configured = Config.of(recommender.facts["config"]).rationale
    return RationaleSettings.model_validate(configured.model_dump() | {"view": view})


def clause(fact: Evidence, titles: Mapping[str, str], info: DatasetInfo, settings: RationaleSettings) -> str:
    """One fact in words; as it is stored where there are no words for it. settings: of who reads it."""
    told = claim_facts(Grounds(fact.kind, (FactId.parse(fact.id),), (fact.facts,)), titles, settings)
    if told is not None:
        return claim_text(fact.kind, told, Words.of(info))
    return f"{fact.kind}: " + "; ".join(f"{name} {_plain(value)}" for name, value in fact.facts.items())


def _plain(value: object) -> str:
    return ", ".join(clean(str(one)) for one in value) if isinstance(value, list) else clean(str(value))


def what_if(recommender: Recommender, user: str, explained: Explained, titles: Mapping[str, str]) -> str | None:
    """Where the item would stand without the item of the history, or else the fact, that adds most to its evidence."""
    without = _strongest(explained)
    if without is None:
        return None
    # The report holds everything exactly: it is the operator's.
    outcome = recommender.explain(user, explained.item, without=[without], view="operator").what_if
    assert outcome is not None, "something was left out"
    named = f"“{titles[without]}” in the history" if without in titles else "The strongest fact"
    return f"{named}: {outcome.text}."


def _strongest(explained: Explained) -> str | None:
    """The single history item that the facts start from which add most; the strongest fact where none is single."""
    adds: dict[str, float] = defaultdict(float)
    for fact in explained.evidence:
        if len(fact.sources) == 1:
            adds[fact.sources[0]] += fact.contribution
    if adds:
        return max(adds, key=lambda source: adds[source])
    return explained.evidence[0].id if explained.evidence else None


def checked(recommender: Recommender, examples: Iterable[Example]) -> str:
    """How many claims of the examples were recomputed from the log, and what came of it."""
    shown = [one for example in examples for one in example.recommended]
    if not shown:
        return ""
    silent = sum(one.rationale.abstains for one in shown)
    if not any(one.explained.contributions.get("evidence") for one in shown):
        return "Here validation gave facts no weight, or there were too few to learn it from: no item has a reason."
    outcomes = [recommender.verify(one.rationale) for one in shown]
    claims = sum(one.claims for one in outcomes)
    problems = [problem.text for one in outcomes for problem in one.problems]
    came = f"{len(problems)} things differ, the first: {problems[0]}" if problems else "every one holds"
    said = (
        f"The {len(shown) - silent} reasons make {claims} claims. Each was recomputed from the log of events: {came}."
    )
    return f"{said} {silent} of {len(shown)} items have no fact that may be told, and say so." if silent else said
