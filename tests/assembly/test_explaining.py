"""Explanations of a fitted run: exact parts, facts that recompute, what would be without, and what is kept."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.assembly.made import BRIEF, write_vectors
from tests.worlds import DAY, QUICK, circle_data

from dynmm import Recommender
from dynmm.assembly import FitOptions, explainer_of, rungs, store_of
from dynmm.assembly.books import counted_in
from dynmm.assembly.measured import as_fitted
from dynmm.assembly.moving import Moving
from dynmm.assembly.whole import whole_of
from dynmm.errors import ConfigError, DataError, UnknownIdError, UnsupportedByData
from dynmm.evidence.neighbours import NeighbourTerms
from dynmm.evidence.pairs import PairStatistics
from dynmm.evidence.parts import Part
from dynmm.factids import FactId
from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.writing import write
from dynmm.system import Query
from dynmm.types import Evidence, Explained

USERS = [f"u{user}" for user in range(0, 60, 7)]


def _query(recommender: Recommender, user: str) -> Query:
    history = recommender.known.history(recommender.users.encode(user))
    return Query(history, recommender.now, exclude=np.unique(history.items))


def _parts(recommender: Recommender, user: str, item: int) -> list[Part]:
    evidence = whole_of(recommender).evidence
    assert evidence is not None
    return evidence.parts(_query(recommender, user), item)


def test_the_parts_sum_to_the_score_that_ranks(told: Recommender) -> None:
    for user in USERS:
        for place, one in enumerate(told.recommend(user, 5, explain=True), start=1):
            assert one.explained is not None
            assert one.explained.rank == place
            assert one.explained.score == pytest.approx(one.score, abs=1e-4)
            assert sum(one.explained.contributions.values()) == pytest.approx(one.explained.score, abs=1e-9)
            facts = sum(fact.contribution for fact in one.explained.evidence)
            assert facts + one.explained.rest == pytest.approx(one.explained.contributions["evidence"], abs=1e-9)
            assert all(fact.contribution > 0 for fact in one.explained.evidence)
            parts = [part.amount for part in _parts(told, user, told.items.encode(one.item))]
            raises = sum(amount for amount in parts if amount > 0)
            assert facts + (one.explained.rest_raises or 0.0) == pytest.approx(raises, abs=1e-6)


def test_every_rationale_recomputes_and_an_untrue_one_is_named(told: Recommender) -> None:
    claims = 0
    for user in USERS:
        for one in told.recommend(user, 3, explain=True):
            assert one.rationale is not None
            assert told.verify(one.rationale).holds
            claims += len(one.rationale.claims)
            if one.rationale.claims:
                untrue = copy.deepcopy(one.rationale.as_json())
                untrue["claims"][0]["evidence"] = [f"together:i1>{one.item}x"]
                problems = told.verify(untrue).problems
                assert any(problem.claim == 0 for problem in problems)
    assert claims > len(USERS), "the world has facts to tell"


def test_a_rationale_of_now_is_held_to_its_score(told: Recommender) -> None:
    claims = 0
    for view in ("operator", "public"):
        for user in USERS[:3]:
            for one in told.recommend(user, 2, explain=True, view=view):
                assert one.rationale is not None
                assert told.verify(one.rationale).holds
                claims += len(one.rationale.claims)
                raised = {**one.rationale.as_json(), "told": 0.1 if one.rationale.told > 0.2 else 0.9}
                assert "told" in [problem.field for problem in told.verify(raised).problems]
    assert claims > 6
    newest = told.history("u0")[-1]
    for less in told.recommend("u0", 3, explain=True, without=[newest]):
        assert less.rationale is not None
        assert told.verify(less.rationale, without=[newest]).holds


@pytest.mark.parametrize("view", ["public", "operator"])
def test_what_may_not_be_told_takes_no_place_of_what_may(told: Recommender, view: str) -> None:
    explainer, info = explainer_of(told, view), told.known.info
    settings = explainer.rationale.model_copy(update={"k": 12, "alike": (1.0, 1.0, 1.0)})
    wide, narrow = (
        replace(explainer, rationale=settings, settings=explainer.settings.model_copy(update={"told": most}))
        for most in (500, 1)
    )
    short = 0
    for user in USERS:
        for item in range(30):
            every, few = (one.explain(_query(told, user), item, user) for one in (wide, narrow))
            could, says = (write(one, explainer.store, info, settings, user) for one in (every, few))
            assert says.abstains == could.abstains
            assert sum(fact.contribution for fact in few.evidence) + few.rest == pytest.approx(
                few.contributions["evidence"], abs=1e-9
            )
            assert len(few.evidence) <= (1 if view == "public" else 2)
            if view == "operator":
                assert few.evidence[:1] == every.evidence[:1], "the operator reads the strongest of all"
            strongest = max((part.amount for part in _parts(told, user, item)), default=0.0)
            short += bool(few.evidence) and few.evidence[-1].contribution < strongest - 1e-9
    assert short


def test_the_public_at_a_larger_k_has_fewer_facts_and_the_operator_has_all(told: Recommender) -> None:
    query = _query(told, "u0")
    item = int(explainer_of(told).rank([query], 1).items[0, 0])

    def people(view: str, k: int) -> list[int]:
        explained = explainer_of(told, view, k).explain(query, item)
        return [one.facts["users"] for one in explained.evidence if one.kind in ("followed", "together")]

    everybody = people("operator", 5)
    assert everybody
    assert min(people("public", 5)) >= 5
    assert sorted(one for one in everybody if one >= 12) == sorted(people("public", 12))
    with pytest.raises(ConfigError, match=r"rationale\.k"):
        explainer_of(told, "public", 0)


def test_what_a_fact_adds_is_what_goes_with_it(told: Recommender) -> None:
    explainer = explainer_of(told)
    query = _query(told, "u0")
    item = int(explainer.rank([query], 1).items[0, 0])
    before = explainer.explain(query, item)
    for fact in before.evidence:
        after = explainer.explain_without(query, item, [fact.id], [])
        assert before.score - after.score == pytest.approx(fact.contribution, abs=1e-6)
        assert fact.id not in [one.id for one in after.evidence]
    every = explainer.explain_without(query, item, [fact.id for fact in before.evidence], [])
    assert every.contributions["latent"] == pytest.approx(before.contributions["latent"])
    assert every.contributions["evidence"] == pytest.approx(before.rest, abs=1e-6)


def test_a_history_item_that_is_not_used_leaves_everything(told: Recommender) -> None:
    newest = told.history("u0")[-1]
    item = told.recommend("u0", 1)[0].item
    what_if = told.explain("u0", item, without=[newest]).what_if
    assert what_if is not None
    assert all(newest not in fact.sources for fact in what_if.after.evidence)
    assert what_if.after.contributions["latent"] != what_if.before.contributions["latent"]
    again = told.recommend("u0", 5, without=[newest], explain=True)
    assert newest not in [one.item for one in again], "what was taken is still no candidate"
    for one in again:
        assert one.explained is not None
        assert one.explained.score == pytest.approx(one.score, abs=1e-4)
        assert all(newest not in fact.sources for fact in one.explained.evidence)


def test_a_fact_that_is_not_used_is_not_used_by_recommend(told: Recommender) -> None:
    first = told.recommend("u0", 1, explain=True)[0]
    assert first.explained is not None
    ids = [fact.id for fact in first.explained.evidence]
    others = {one.item: one for one in told.recommend("u0", 10, without=ids, explain=True)}
    lost = sum(fact.contribution for fact in first.explained.evidence)
    assert others[first.item].score == pytest.approx(first.score - lost, abs=1e-4)


def test_a_what_if_tells_adding_from_changing_the_rank(told: Recommender) -> None:
    item = told.recommend("u0", 1, explain=True)[0]
    assert item.explained is not None
    every = told.explain("u0", item.item, without=told.history("u0")).what_if
    assert every is not None
    assert every.changes_rank
    assert "would be" in every.text
    none = told.explain("u0", item.item, without=["i29" if item.item != "i29" else "i28"]).what_if
    assert none is not None
    if none.contributes == 0:
        assert "would not change" in none.text


def test_what_is_neither_item_nor_fact_is_named(told: Recommender) -> None:
    with pytest.raises(UnknownIdError, match="neither an item"):
        told.recommend("u0", without=["nothing"])
    with pytest.raises(UnknownIdError):
        told.explain("u0", "nothing")
    with pytest.raises(DataError):
        told.verify({"text": "so"})


def test_a_fact_of_an_unknown_item_is_refused_and_what_is_idle_is_noted(
    told: Recommender, caplog: pytest.LogCaptureFixture
) -> None:
    newest, item = told.history("u0")[-1], told.recommend("u0", 1)[0].item
    for unknown in (f"together:nope>{item}", f"together:{newest}>nope", f"union:{newest},nope>{item}"):
        with pytest.raises(UnknownIdError, match="the item 'nope', which this run has never seen"):
            told.explain("u0", item, without=[unknown])
        with pytest.raises(UnknownIdError, match="never seen"):
            told.recommend("u0", without=[unknown], explain=True)
    told.explain("u0", item, without=[newest])
    told.recommend("u0", 2, without=[newest])
    assert not caplog.records
    strange = next(one for one in told.items.ids if one not in told.history("u0"))
    told.recommend("u0", 2, without=[strange])
    told.explain("u0", item, without=[strange, newest])
    assert [f"leaving out {strange} changes nothing" in record.getMessage() for record in caplog.records] == [True] * 2
    other = told.recommend("u0", 2)[1].item
    told.explain("u0", item, without=[f"together:{newest}>{other}"], view="operator")
    assert f"together:{newest}>{other}" in caplog.records[-1].getMessage()


def test_one_id_by_itself_is_one_and_not_its_letters(told: Recommender) -> None:
    newest, best = told.history("u0")[-1], told.recommend("u0", 1)[0].item
    assert told.recommend("u0", 5, without=newest) == told.recommend("u0", 5, without=[newest])
    assert told.recommend("u0", 5, exclude=best) == told.recommend("u0", 5, exclude=[best])
    one, other = (told.explain("u0", best, without=names).what_if for names in (newest, [newest]))
    assert one == other
    assert [row.item for row in told.rank("u0", best)] == [best]


def test_a_saved_run_explains_alike(told: Recommender, tmp_path: Path) -> None:
    told.save_pretrained(tmp_path / "run")
    again = Recommender.from_pretrained(tmp_path / "run", device="cpu")
    for user in USERS[:3]:
        before, after = (one.recommend(user, 3, explain=True) for one in (told, again))
        assert [(one.item, one.score, one.rationale) for one in before] == [
            (one.item, one.score, one.rationale) for one in after
        ]
        assert all(again.verify(one.rationale).holds for one in before if one.rationale is not None)


def test_a_published_model_recommends_alike_and_cannot_explain(told: Recommender, tmp_path: Path) -> None:
    told.save_pretrained(tmp_path / "run")
    published = Recommender.from_pretrained(tmp_path / "run" / "model", device="cpu")
    history = told.history("u0")
    assert [one.item for one in published.recommend_session(history, 5)] == [
        one.item for one in told.recommend_session(history, 5)
    ]
    with pytest.raises(UnsupportedByData, match="published model"):
        store_of(published)
    held = b"".join(path.read_bytes() for path in (tmp_path / "run" / "model").rglob("*") if path.is_file())
    assert b"u17" not in held, "no user in what is published"


def test_learned_events_are_counted_at_once_and_measured_runs_stay(world: Path, options: FitOptions) -> None:
    run = Recommender.fit(world, BRIEF, split="full", seed=3, options=options)
    store, whole = store_of(run), whole_of(run)
    offset = store.offset
    fitted = as_fitted(run)
    query = _query(run, "u3")
    before = fitted.rank([query], 5).scores
    learned = [{"user_id": f"new{n}", "item_id": item} for n in range(6) for item in ("i1", "i20")]
    times = {"timestamp": run.now} if run.known.has_time else {}
    run.learn([event | times for event in learned])
    assert store_of(run).offset == offset + len(learned)
    assert whole.evidence is not None
    one, other = (np.asarray([run.items.encode(item)]) for item in ("i1", "i20"))
    grid = whole.evidence.terms.pairs.between(one, other)
    assert int(grid.users[0, 0]) >= 6
    assert np.array_equal(as_fitted(run).rank([query], 5).scores, before)


def test_a_trend_of_another_time_is_no_trend_of_now(world: Path, options: FitOptions) -> None:
    run = Recommender.fit(world, BRIEF, split="full", seed=3, options=options)
    assert run.now is not None
    before, year = run.now, 365 * DAY
    run.learn([{"user_id": "u3", "item_id": "i3", "timestamp": before + year}])
    store, item = store_of(run), run.recommend("u0", 1)[0].item
    assert (store.moment(store.offset - 1), store.moment(store.offset)) == (before, before + year)
    old = FactId.trend(7, before, item)
    assert store.fact(old, store.offset, "u0") is not None, "that many people did take it, a year ago"
    told = Evidence(old.text, "trend", item, (), dict(store.fact(old, store.offset, "u0") or {}), 1.0)
    score = Explained(item, 1.0, 1, {"latent": 0.0, "evidence": 1.0}, (told,), 0.0, store.offset)
    claim = write(score, store, run.known.info, RationaleSettings(view="operator"), "u0")
    assert [one.kind for one in claim.claims] == ["trend"]
    right = FactId.trend(7, before + year, item).text
    assert ("evidence[0]", right) in [(one.field, one.expected) for one in run.verify(claim).problems]


def test_a_new_item_has_facts_of_its_content_alone(told: Recommender, tmp_path: Path) -> None:
    run = copy.copy(told)
    folder = write_vectors(tmp_path / "new", {"brand-new": 3})
    run.add_items([{"item_id": "brand-new", "title": "place three"}], features=folder)
    explained = run.explain("u0", "brand-new").explained
    assert {fact.kind for fact in explained.evidence} <= {"alike", "attribute"}
    assert explained.rank > 0


def test_events_of_an_added_item_leave_the_fit_as_it_was(world: Path, options: FitOptions, tmp_path: Path) -> None:
    run = Recommender.fit(world, BRIEF, split="full", seed=3, options=options)
    query = _query(run, "u3")
    before = as_fitted(run).rank([query], 30).scores
    folder = write_vectors(tmp_path / "new", {"brand-new": 3})
    run.add_items([{"item_id": "brand-new", "title": "place three"}], features=folder)
    times = {"timestamp": run.now} if run.known.has_time else {}
    run.learn([{"user_id": f"new{n}", "item_id": item} | times for n in range(6) for item in ("i1", "brand-new")])
    found = {one.kind: one for one in run.explain("u3", "brand-new", view="operator").explained.evidence}
    if "i1" in run.history("u3"):
        assert found["together"].facts["users"] == 6
    assert np.array_equal(as_fitted(run).rank([query], 30).scores, before)


def test_importance_is_what_the_score_loses(told: Recommender) -> None:
    item = told.recommend("u0", 1)[0].item
    found = told.importance("u0", item)
    assert "text" in found
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_importance_holds_nothing_of_what_the_adapter_did(told: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    item = told.recommend("u0", 1)[0].item
    before, moved = told.importance("u0", item), copy.copy(whole_of(told).frozen_space)
    query, dense = _query(told, "u0"), told.items.encode(item)
    fitted = explainer_of(told).explain(query, dense).contributions["latent"]
    vars(moved)["item_vectors"] = moved.item_vectors * 2.0 + 1.0
    monkeypatch.setattr(Moving, "space", property(lambda _: moved))
    assert explainer_of(told).explain(query, dense).contributions["latent"] != pytest.approx(fitted)
    assert told.importance("u0", item) == before


def test_without_evidence_there_is_nothing_to_tell(world: Path, options: FitOptions) -> None:
    run = Recommender.fit(world, {**BRIEF, "evidence": {"variant": "off"}}, split="full", seed=3, options=options)
    assert "dynmm/evidence" not in rungs(run)
    one = run.recommend("u0", 1, explain=True)[0]
    assert one.explained is not None
    assert one.rationale is not None
    assert one.explained.contributions["evidence"] == 0.0
    assert one.rationale.abstains


def test_the_papers_evidence_is_an_items_neighbours_all_alike(world: Path, options: FitOptions, tmp_path: Path) -> None:
    config = {**BRIEF, "evidence": {"variant": "paper", "neighbours": 3, "strengths": [2.0]}}
    run = Recommender.fit(world, config, split="full", seed=3, options=options)
    terms = store_of(run).ledger
    told = 0
    for user in USERS:
        for one in run.recommend(user, 5, explain=True):
            assert one.explained is not None
            parts = whole_of(run).evidence.parts(_query(run, user), run.items.encode(one.item))  # type: ignore[union-attr]
            assert {part.amount for part in parts} <= {2.0}
            assert len(parts) <= 3
            assert one.explained.contributions["evidence"] == 2.0 * len(parts)
            assert one.explained.score == pytest.approx(one.score, abs=1e-4)
            for part in parts:
                assert terms.together_users(part.source, run.items.encode(one.item), 50) > 0
            told += len(parts)
    assert told > 0
    run.save_pretrained(tmp_path / "run")
    again = Recommender.from_pretrained(tmp_path / "run", device="cpu")
    assert [one.score for one in again.recommend("u0", 5)] == [one.score for one in run.recommend("u0", 5)]


def test_the_papers_neighbours_are_of_the_fit_whenever_they_are_read(
    world: Path, options: FitOptions, tmp_path: Path
) -> None:
    config = {**BRIEF, "evidence": {"variant": "paper", "neighbours": 3, "strengths": [2.0]}}
    fitted = Recommender.fit(world, config | {"adapter": {"variant": "off"}}, split="full", seed=3, options=options)
    fitted.save_pretrained(tmp_path / "run")
    now = fitted.now or 0
    pairs = [(f"new{n}", item) for n in range(40) for item in ("i1", "i20")]
    rows = [{"user_id": user, "item_id": item, "timestamp": now + n} for n, (user, item) in enumerate(pairs)]
    with Recommender.from_pretrained(tmp_path / "run", device="cpu") as run:
        run.learn(rows[:2])
        run.recommend("new0", 5)
        run.learn(rows[2:])
        live = [(one.item, one.score) for one in run.recommend("new3", 30, exclude_history=False)]
    again = Recommender.from_pretrained(tmp_path / "run", device="cpu")
    assert [(one.item, one.score) for one in again.recommend("new3", 30, exclude_history=False)] == live
    # A deletion makes the neighbours anew, of the events of the fit that are left.
    again.forget("u0")
    terms = whole_of(again).evidence.terms  # type: ignore[union-attr]
    assert isinstance(terms, NeighbourTerms)
    rest = NeighbourTerms.of(replace(terms, pairs=PairStatistics.of(counted_in(again.split))), 3)  # type: ignore[arg-type]
    assert abs(terms.near - rest.near).nnz == 0


def test_interactions_alone_give_evidence_too(options: FitOptions) -> None:
    config = {**QUICK, "fusion": {"variant": "off"}}
    run = Recommender.fit(circle_data(), config, split="full", seed=3, options=options)
    assert whole_of(run).joint is None
    assert "dynmm/evidence" in rungs(run)
    for one in run.recommend("u0", 3, explain=True):
        assert one.rationale is not None
        assert run.verify(one.rationale).holds
