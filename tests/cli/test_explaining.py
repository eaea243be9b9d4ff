"""`dynmm recommend --explain`, `explain` and `verify` as a person types them, in both views."""

from __future__ import annotations

import copy
import json
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.made import EVENTS, QUICK, Json, asked, dynmm, refused, write_run
from tests.worlds import DAY, START, circles

from dynmm import Recommender
from dynmm.types import Explanation


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("explained"))


@pytest.fixture(scope="module")
def public(run: Path) -> Json:
    return asked("recommend", run, "--user", "u3", "-k", "6", "--explain")


@pytest.fixture(scope="module")
def operator(run: Path) -> Json:
    return asked("recommend", run, "--user", "u3", "-k", "6", "--explain", "--view", "operator")


def test_the_public_reads_parts_in_words_and_bars(public: Json) -> None:
    assert (public["user"], public["as_of_offset"], len(public["items"])) == ("u3", EVENTS, 6)
    for one in public["items"]:
        assert set(one) == {"item", "title", "score", "contributions", "rationale"}
        assert set(one["contributions"]) == {"latent", "evidence", "remainder"}
        assert all(set(part) == {"word", "bar"} and part["bar"] in range(6) for part in one["contributions"].values())
        rationale = one["rationale"]
        assert (rationale["user"], rationale["item"], rationale["view"]) == ("u3", one["item"], "public")
        assert all("users" not in claim["facts"] for claim in rationale["claims"])


def test_the_operator_reads_everything_exactly(operator: Json) -> None:
    for one in operator["items"]:
        parts, facts = one["contributions"], one["evidence"]
        assert parts["latent"] + parts["evidence"] == pytest.approx(one["score"], rel=1e-6, abs=1e-5)
        assert sum(fact["contribution"] for fact in facts) + one["rest"] == pytest.approx(parts["evidence"])
        assert {fact["id"] for fact in facts} >= {
            cited for claim in one["rationale"]["claims"] for cited in claim["evidence"]
        }
    assert any(claim["facts"].get("users") for one in operator["items"] for claim in one["rationale"]["claims"])


def test_without_explain_there_are_no_reasons(run: Path, public: Json) -> None:
    plain = asked("recommend", run, "--user", "u3", "-k", "6")
    assert [one["item"] for one in plain["items"]] == [one["item"] for one in public["items"]]
    assert all(one["contributions"] is None and one["rationale"] is None for one in plain["items"])
    assert "add --explain" in refused("recommend", run, "--user", "u3", "--view", "public")


@pytest.mark.parametrize("view", ["public", "operator"])
def test_reasons_stand_under_their_item(run: Path, view: str, public: Json, operator: Json) -> None:
    result = dynmm("recommend", run, "--user", "u3", "-k", "6", "--explain", "--view", view)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    told = public if view == "public" else operator
    assert [line[5:].split()[0] for line in lines if not line.startswith("     ")] == [
        one["item"] for one in told["items"]
    ]
    first = told["items"][0]
    below = lines[1 : lines.index(next(line for line in lines[1:] if not line.startswith("     ")))]
    assert below[0].startswith("     latent ")
    assert below[1] == "     " + first["rationale"]["text"]
    assert below[0].endswith("; people from k = 5 on") == (view == "public")
    assert below[-1].endswith("the rest of the evidence")
    if view == "operator":
        assert [line.split()[1] for line in below[2:-1]] == [fact["id"] for fact in first["evidence"]]
        assert [float(line.split()[0]) for line in below[2:-1]] == pytest.approx(
            [fact["contribution"] for fact in first["evidence"]], abs=1e-4
        )
    else:
        assert [line.split("  ")[-1].strip() for line in below[2:-1]] == [
            one["text"] for one in first["rationale"]["claims"]
        ]
        assert ">" not in "".join(below)


def test_a_re_ranker_that_did_not_answer_is_told(run: Path, operator: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    call = ("explain", run, "--user", "u3", "--item", operator["items"][0]["item"])
    assert asked(*call)["degraded"] is None
    assert "re-ranker" not in dynmm(*call).stderr
    explain = Recommender.explain

    def late(*args: Any, **named: Any) -> Explanation:
        found = explain(*args, **named)
        return replace(found, explained=replace(found.explained, degraded="deadline"))

    monkeypatch.setattr(Recommender, "explain", late)
    assert asked(*call)["degraded"] == "deadline"
    assert dynmm(*call).stderr.endswith("the order is that of the stages below the re-ranker (deadline)\n")


def test_no_title_can_reach_the_terminal(run: Path) -> None:
    for user in ("u3", "u5", "u12"):
        for more in ([], ["--explain", "--view", "operator"]):
            shown = dynmm("recommend", run, "--user", user, "-k", "30", *more).stdout
            assert not {one for one in shown if unicodedata.category(one) in ("Cc", "Cf")} - {"\n"}
            assert "x" * 200 not in shown


def test_explain_prints_what_it_says_as_json(run: Path, operator: Json) -> None:
    first = operator["items"][0]
    fact = first["evidence"][0]
    call = ("explain", run, "--user", "u3", "--item", first["item"], "--without", fact["id"])
    told, shown = asked(*call, "--view", "operator"), dynmm(*call, "--view", "operator").stdout
    assert told["score"] == pytest.approx(first["score"])
    assert all(told[name] == first[name] for name in set(first) - {"score"})
    assert told["as_of_offset"] == EVENTS
    assert f"{fact['contribution']:+.4f}  {fact['id']}" in shown
    assert f"It adds {fact['contribution']:.4f} to the evidence." in shown
    assert f"Without it the score would be {told['what_if']['score']:.4f}, and the rank would " in shown
    coarse = asked(*call)
    assert "evidence" not in coarse
    assert set(coarse["what_if"]["adds"]) == {"word", "bar"}
    assert (coarse["what_if"]["score"], coarse["what_if"]["rank"]) == (None, told["what_if"]["rank"])
    assert f"It adds {coarse['what_if']['adds']['word']} of what raises the score." in dynmm(*call).stdout
    assert asked(*call[:6])["what_if"] is None
    others = [one for item in operator["items"][1:] for one in item["evidence"] if one["kind"] == "together"]
    other = next(one["id"] for one in others if one["facts"]["users"] >= 5)
    nothing = dynmm(*call[:6], "--without", other).stdout
    assert "It adds nothing to the evidence.\n  Without it the rank would stay 1." in nothing


def test_a_user_without_history_is_told_no_more_than_there_is(run: Path) -> None:
    told = asked("recommend", run, "--user", "late", "-k", "3", "--explain", "--view", "operator")
    assert len(told["items"]) == 3
    for one in told["items"]:
        assert not [fact for fact in one["evidence"] if fact["sources"]]
        assert all(claim["kind"] in ("trend", "taken") for claim in one["rationale"]["claims"])
    assert dynmm("verify", run, "-", given=json.dumps(told)).exit_code == 0


def test_unknown_names_are_refused(run: Path) -> None:
    known = ("explain", run, "--user", "u3", "--item", "i20")
    assert "unknown user 'zed'" in refused("explain", run, "--user", "zed", "--item", "i20")
    assert "unknown item 'i999'" in refused("explain", run, "--user", "u3", "--item", "i999")
    for call in (known, ("recommend", run, "--user", "u3", "--explain"), ("recommend", run, "--user", "u3")):
        assert "'zed' is neither an item of this run nor the id of a fact" in refused(*call, "--without", "zed")
    assert dynmm(*known, "--view", "everyone").exit_code == 2
    assert dynmm("explain", run, "--user", "u3").exit_code == 2


def test_a_published_model_cannot_explain(run: Path, public: Json, tmp_path: Path) -> None:
    shutil.copytree(run / "model", tmp_path / "published" / "model")
    words = "a published model knows no events"
    assert words in refused("recommend", tmp_path / "published", "--user", "u3", "--explain")
    assert words in refused("explain", tmp_path / "published", "--user", "u3", "--item", "i20")
    assert words in refused("verify", tmp_path / "published", "-", given=json.dumps(public))


def test_a_run_without_evidence_abstains(tmp_path: Path) -> None:
    interactions, items = circles(users=20, events=6)
    interactions.write_parquet(tmp_path / "interactions.parquet")
    items.write_parquet(tmp_path / "items.parquet")
    config = {**QUICK, "evidence": {"variant": "off"}}
    Recommender.fit(tmp_path, config).save_pretrained(tmp_path / "run")
    (one,) = asked("recommend", tmp_path / "run", "--user", "u3", "-k", "1", "--explain", "--view", "operator")["items"]
    assert one["contributions"]["evidence"] == 0.0
    assert (one["rationale"]["claims"], one["evidence"]) == ([], [])
    shown = dynmm("recommend", tmp_path / "run", "--user", "u3", "-k", "1", "--explain").stdout
    assert "There is no fact that may be shown" in shown


@pytest.mark.parametrize("view", ["public", "operator"])
def test_what_was_printed_recomputes(run: Path, view: str, public: Json, operator: Json, tmp_path: Path) -> None:
    told = public if view == "public" else operator
    (tmp_path / "told.json").write_text(json.dumps(told), encoding="utf-8")
    result = dynmm("verify", run, tmp_path / "told.json")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 6)
    count = len(told["items"][0]["rationale"]["claims"])
    assert result.stdout.startswith(f"item {told['items'][0]['item']} for user u3: {count} claims recompute")
    alone = dynmm("verify", run, "-", "--json", given=json.dumps(told["items"][0]["rationale"]))
    assert alone.exit_code == 0
    assert json.loads(alone.stdout) == {
        "holds": True,
        "rationales": [
            {"user": "u3", "item": told["items"][0]["item"], "holds": True, "claims": count, "problems": []}
        ],
    }
    explained = asked("explain", run, "--user", "u3", "--item", told["items"][1]["item"], "--view", view)
    assert dynmm("verify", run, "-", given=json.dumps(explained)).exit_code == 0


def test_what_stands_beside_a_rationale_is_its_own(run: Path, public: Json) -> None:
    for change, words in (
        ({"user": "u5"}, 'rationale, user beside it: expected "u3", found "u5"'),
        ({"item": "i29"}, "item beside it: expected"),
        ({"title": "Titanic"}, "title beside it: expected"),
    ):
        told = copy.deepcopy(public)
        (told if "user" in change else told["items"][0]).update(change)
        result = dynmm("verify", run, "-", given=json.dumps(told))
        assert (result.exit_code, words in result.stdout) == (1, True)
    told = copy.deepcopy(public)
    told["items"][1]["rationale"] = None
    assert "items[1] has no rationale, and others have one" in refused("verify", run, "-", given=json.dumps(told))


@pytest.mark.parametrize("view", ["public", "operator"])
def test_reasons_given_before_and_after_more_events_recompute(
    run: Path, view: str, public: Json, tmp_path: Path
) -> None:
    rows = [{"user_id": f"u{user}", "item_id": "i19", "timestamp": START + 2 * DAY + user} for user in range(30)]
    with Recommender.from_pretrained(shutil.copytree(run, tmp_path / "own")) as recommender:
        recommender.learn(rows)
        recommender.save_pretrained(tmp_path / "later")
    for user in ("u3", "u40"):
        call = ("recommend", tmp_path / "later", "--user", user, "-k", "6", "--explain", "--view", view)
        told = asked(*call)
        assert told["as_of_offset"] == EVENTS + 30
        assert any(one["rationale"]["claims"] for one in told["items"])
        result = dynmm("verify", tmp_path / "later", "-", given=json.dumps(told))
        assert result.exit_code == 0, result.stdout
        item = told["items"][0]["item"]
        explained = asked("explain", *call[1:4], "--item", item, "--view", view)
        assert explained["as_of_offset"] == EVENTS + 30
        assert dynmm("verify", tmp_path / "later", "-", given=json.dumps(explained)).exit_code == 0
        reason = next(one["rationale"] for one in told["items"] if one["rationale"]["claims"])
        honest = json.dumps(reason)
        reason["told"] = 0.1 if reason["told"] > 0.2 else 0.9
        late = ("--offset", str(EVENTS + 30))
        for options, given in (((), told), (late, reason)):
            shown = dynmm("verify", tmp_path / "later", "-", "--json", *options, given=json.dumps(given)).stdout
            problems = [each["field"] for one in json.loads(shown)["rationales"] for each in one["problems"]]
            assert problems == ["told"]
        assert dynmm("verify", tmp_path / "later", "-", *late, given=honest).exit_code == 0
    assert dynmm("verify", tmp_path / "later", "-", given=json.dumps(public)).exit_code == 0


def _claim(rationale: Json, kind: str) -> Json | None:
    found: list[Json] = [one for one in rationale["claims"] if one["kind"] == kind]
    return found[0] if found else None


def _number(rationale: Json) -> str | None:
    claim = _claim(rationale, "followed")
    if claim is None:
        return None
    claim["facts"]["users"] += 7
    return "facts.users"


def _name(rationale: Json) -> str | None:
    claim = _claim(rationale, "followed")
    if claim is None:
        return None
    for part in (claim, rationale):
        part["text"] = part["text"].replace(f"“{claim['facts']['titles'][0]}”", "“Film 99”")
    claim["facts"]["titles"][0] = "Film 99"
    return "facts.titles[0]"


def _id(rationale: Json) -> str | None:
    rationale["claims"][0]["evidence"][0] = rationale["claims"][0]["evidence"][0].rpartition(">")[0] + ">i29"
    return "evidence[0]"


def _attribute(rationale: Json) -> str | None:
    claim = _claim(rationale, "attribute")
    if claim is None:
        return None
    claim["facts"]["values"][0] = "Part 77"
    return "facts.values[0]"


def _direction(rationale: Json) -> str | None:
    claim = _claim(rationale, "followed")
    if claim is None:
        return None
    start, end = claim["evidence"][0].removeprefix("followed:").split(">")
    claim["evidence"][0] = f"followed:{end}>{start}"
    return "evidence[0]"


@pytest.mark.parametrize("tamper", [_number, _name, _id, _attribute, _direction])
def test_what_was_tampered_with_is_named(run: Path, operator: Json, tamper: Callable[[Json], str | None]) -> None:
    told = copy.deepcopy(operator)
    fields = [tamper(one["rationale"]) for one in told["items"]]
    (place, field) = next((place, field) for place, field in enumerate(fields) if field is not None)
    result = dynmm("verify", run, "-", given=json.dumps(told))
    assert result.exit_code == 1
    item = told["items"][place]["item"]
    assert f"item {item} for user u3: does not recompute\n" in result.stdout
    assert f", {field}: expected " in result.stdout
    found = json.loads(dynmm("verify", run, "-", "--json", given=json.dumps(told)).stdout)
    assert not found["holds"]
    assert [one["holds"] for one in found["rationales"]] == [field is None for field in fields]
    assert field in {one["field"] for one in found["rationales"][place]["problems"]}


def test_another_user_or_item_does_not_recompute(run: Path, public: Json) -> None:
    for name, other in (("user", "late"), ("item", "i29")):
        told = copy.deepcopy(public["items"][0]["rationale"])
        told[name] = other
        assert dynmm("verify", run, "-", given=json.dumps(told)).exit_code == 1


def test_what_is_found_cannot_steer_the_terminal(run: Path, public: Json) -> None:
    told = copy.deepcopy(public["items"][0]["rationale"])
    told["text"] = "all is well\x1b[2J\u202e"
    shown = dynmm("verify", run, "-", given=json.dumps(told))
    assert shown.exit_code == 1
    assert not {"\x1b", "\u202e"} & set(shown.stdout)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not readable JSON"),
        (b"{", "not readable JSON"),
        (b"\xff\xfe\xfa", "not readable JSON"),
        (b"[" * 100_000, "not readable JSON"),
        (b'{"a": 1, "a": 2}', "names a field twice"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": "\\ud800"}', "not readable JSON"),
        (b"[]", "is no JSON object"),
        (b"{}", "the field 'user' is missing"),
        (b'{"items": 3}', "items is no list"),
        (b'{"items": []}', "no rationale in it"),
        (b'{"items": [{"item": "i1", "rationale": null}]}', "no rationale in it"),
        (b'{"items": [{"rationale": {"user": null}}]}', "items[0]: the rationale: the field 'item' is missing"),
    ],
)
def test_what_is_no_rationale_cannot_be_read(run: Path, content: bytes, words: str) -> None:
    told = refused("verify", run, "-", given=content)
    assert words in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400, "1" + "0" * 5_000])
def test_a_number_beyond_all_floats_is_a_problem_that_names_its_field(run: Path, public: Json, number: str) -> None:
    told = json.dumps({**public["items"][0]["rationale"], "told": "HERE"}).replace('"HERE"', number)
    shown = dynmm("verify", run, "-", "--json", given=told)
    assert shown.exit_code == 1
    problems = json.loads(shown.stdout)["rationales"][0]["problems"]
    assert {one["field"] for one in problems} == {"told"}


def test_a_file_that_is_not_there_cannot_be_read(run: Path, tmp_path: Path) -> None:
    assert "No such file" in refused("verify", run, tmp_path / "none.json")
    assert "Is a directory" in refused("verify", run, tmp_path)
