"""`--without` as a person types it: what is left out counts nowhere, and tells no more than the view may."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.made import Json, asked, dynmm, refused, write_run

from dynmm import Recommender
from dynmm.assembly import store_of
from dynmm.factids import FactId


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("explained"))


@pytest.fixture(scope="module")
def operator(run: Path) -> Json:
    return asked("recommend", run, "--user", "u3", "-k", "6", "--explain", "--view", "operator")


def test_what_is_not_to_be_used_is_in_no_reason(run: Path, operator: Json) -> None:
    source = operator["items"][0]["evidence"][0]["sources"][0]
    less = asked("recommend", run, "--user", "u3", "-k", "6", "--explain", "--view", "operator", "--without", source)
    assert source not in {one["item"] for one in less["items"]}
    cited = [one for item in less["items"] for fact in item["evidence"] for one in fact["sources"]]
    assert cited
    assert source not in cited
    assert less["items"] != operator["items"]


def test_reasons_written_without_something_recompute_without_it(run: Path, operator: Json) -> None:
    source = operator["items"][0]["evidence"][0]["sources"][0]
    call = ("recommend", run, "--user", "u3", "-k", "6", "--explain", "--without", source)
    told = asked(*call)
    assert told["without"] == [source]
    assert dynmm("verify", run, "-", given=json.dumps(told)).exit_code == 0
    alone = json.dumps(told["items"][0]["rationale"])
    assert dynmm("verify", run, "-", "--without", source, given=alone).exit_code == 0
    assert dynmm("verify", run, "-", given=alone).exit_code == 1
    assert "without is no list of names" in refused("verify", run, "-", given=json.dumps({**told, "without": 3}))


def test_a_fact_left_out_lowers_one_score_by_what_it_adds(run: Path, operator: Json) -> None:
    first = operator["items"][0]
    fact = first["evidence"][0]
    call = ("recommend", run, "--user", "u3", "-k", "30", "--without", fact["id"])
    less = asked(*call, "--view", "operator")
    scores = {one["item"]: one["score"] for one in less["items"]}
    assert first["score"] - scores[first["item"]] == pytest.approx(fact["contribution"], abs=1e-4)
    others = {one["item"]: one["score"] for one in operator["items"][1:]}
    assert others == pytest.approx({item: scores[item] for item in others})
    coarse = asked(*call)
    assert [(one["item"], one["score"]) for one in coarse["items"]] == [(one["item"], None) for one in less["items"]]
    assert f"{scores[first['item']]:.4f}" not in dynmm(*call).stdout


def test_explain_tells_contributing_from_changing_the_rank(run: Path, operator: Json) -> None:
    first, second = operator["items"][:2]
    weakest, everything = second["evidence"][-1], [fact["id"] for fact in first["evidence"]]
    call = ("explain", run, "--user", "u3", "--view", "operator")
    told = asked(*call, "--item", second["item"], "--without", weakest["id"])
    assert (told["rank"], told["score"], told["what_if"]["rank"]) == (2, pytest.approx(second["score"]), 2)
    assert told["what_if"]["adds"] == pytest.approx(weakest["contribution"], abs=1e-5)
    assert not told["what_if"]["changes_rank"]
    assert "would stay 2" in told["what_if"]["text"]
    told = asked(*call, "--item", first["item"], *(part for one in everything for part in ("--without", one)))
    assert told["what_if"]["without"] == everything
    assert told["what_if"]["changes_rank"]
    assert told["what_if"]["rank"] > 1
    assert f"would change, from 1 to {told['what_if']['rank']}" in told["what_if"]["text"]


def test_the_public_names_no_fact_that_it_may_not_be_told(run: Path) -> None:
    """The same words whether one person stands behind it or nobody, and whichever command is asked."""
    recommender = Recommender.from_pretrained(run)
    store, source = store_of(recommender), recommender.history("u3")[-1]
    people: dict[int, str] = {}
    for item in recommender.items.ids:
        fact = store.fact(FactId("together", item, (source,)), store.offset, "u3")
        people.setdefault(0 if fact is None else fact["users"], item)
    few, nobody = people[min(set(people) - {0})], people[0]
    assert min(set(people) - {0}) < 5
    answers = []
    for item in (few, nobody):
        name = f"together:{source}>{item}"
        for call in (("explain", "--item", item), ("recommend", "--explain"), ("recommend",)):
            answers.append(refused(call[0], run, "--user", "u3", *call[1:], "--without", name).replace(name, "it"))
    assert set(answers) == {answers[0]}
    assert "'it' cannot be named in the public view" in answers[0]
    exact = ("explain", run, "--user", "u3", "--item", few, "--view", "operator")
    assert dynmm(*exact, "--without", f"together:{source}>{few}").exit_code == 0
    trend = f"trend:7@{(recommender.now or 0) + 1}>i20"
    assert "cannot be named" in refused("explain", run, "--user", "u3", "--item", "i20", "--without", trend)


def test_what_changes_nothing_is_said_and_unknown_items_are_refused(run: Path) -> None:
    call = ("explain", run, "--user", "u3", "--item", "i20", "--without")
    assert "names the item 'nope'" in refused(*call, "together:nope>i20")
    strange = next(one for one in ("i1", "i29") if one not in Recommender.from_pretrained(run).history("u3"))
    result = dynmm(*call, strange)
    assert result.exit_code == 0
    assert f"leaving out {strange} changes nothing" in result.stderr
    assert dynmm(*call, strange, "-q").stderr == ""


def test_an_item_of_the_history_has_no_rank(run: Path) -> None:
    had = Recommender.from_pretrained(run).history("u3")[-1]
    shown = dynmm("explain", run, "--user", "u3", "--item", had, "--without", had).stdout
    assert "no rank, for the user had it before" in shown
    assert "would still have no rank" in shown


def test_a_trend_up_to_another_moment_is_refused(run: Path) -> None:
    """The trend that adds to the score is that of now: another id would have hidden it, or nothing."""
    recommender = Recommender.from_pretrained(run)
    now = recommender.now
    assert now is not None
    item = recommender.recommend("u3", 1)[0].item
    exact = ("explain", run, "--user", "u3", "--item", item, "--view", "operator")
    for moment in (now + 1, now - 86_400_000, 0):
        for call in (exact, ("recommend", run, "--user", "u3", "--explain", "--view", "operator")):
            told = refused(*call, "--without", f"trend:7@{moment}>{item}")
            assert f"is up to another moment than now; the trend of now is 'trend:7@{now}>{item}'" in told
    assert dynmm(*exact, "--without", f"trend:7@{now}>{item}").exit_code == 0
