"""What rationales say, word for word, for each kind, view and verb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.rationale.made import (
    DRAMA,
    FILMS,
    FOLLOWED,
    LOOKS,
    OPERATOR,
    PUBLIC,
    TOGETHER,
    TREND,
    UNION,
    Told,
    explained,
)

from dynmm.factids import FactId
from dynmm.interactions.dataset import DatasetInfo
from dynmm.rationale.clauses import claim_texts
from dynmm.rationale.settings import RationaleSettings
from dynmm.rationale.wording import ABSTENTION, SMALL_PART
from dynmm.rationale.words import Words, plural
from dynmm.rationale.writing import write


def said(facts: Mapping[str, Mapping[str, Any]], settings: RationaleSettings, info: DatasetInfo = FILMS) -> str:
    store = Told(facts)
    return write(explained(store), store, info, settings).text


KINDS: list[tuple[dict[str, dict[str, Any]], str, str]] = [
    (
        {"followed:a>i": FOLLOWED},
        "Because you watched “Gravity”: 231 of the 1,204 people who watched “Gravity” watched this within their next "
        "three films.",
        "Because you watched “Gravity”: more than 200 people who watched “Gravity” watched this within their next "
        "three films.",
    ),
    (
        {"together:a>i": TOGETHER},
        "Because you watched “Gravity”: 500 of the 1,204 people who watched “Gravity” also watched this "
        "within 50 films of it.",
        "Because you watched “Gravity”: more than 200 people who watched “Gravity” also watched this.",
    ),
    (
        {"followed:a>i": {**FOLLOWED, "users": 90}, "together:a>i": TOGETHER},
        "Because you watched “Gravity”: 500 of the 1,204 people who watched “Gravity” also watched this "
        "within 50 films of it, 90 of them within their next three films.",
        "Because you watched “Gravity”: more than 200 people who watched “Gravity” also watched this, more than 50 of "
        "them within their next three films.",
    ),
    (
        {"followed:a>i": {"users": 1, "within": 1, "source_users": 1}},
        "Because you watched “Gravity”: 1 person who watched “Gravity” watched this as their next film.",
        ABSTENTION,
    ),
    (
        {"union:a,b>i": UNION},
        "Because you watched “Gravity” and “Interstellar”: 31 people who watched at least one of “Gravity” and "
        "“Interstellar” also watched this within 50 films of it.",
        "Because you watched “Gravity” and “Interstellar”: more than 20 people who watched at least one of “Gravity” "
        "and “Interstellar” also watched this.",
    ),
    (
        {"union:a,b,c,d>i": {**UNION, "users": 7}},
        "Because of what you watched: 7 people who watched at least one of “Gravity”, "
        "“Interstellar”, “Moon” and 1 more of your films also watched this within 50 films of it.",
        "Because of what you watched: at least 5 people who watched at least one of "
        "“Gravity”, “Interstellar”, “Moon” and 1 more of your films also watched this.",
    ),
    (
        {"alike:image:a>i": LOOKS},
        "Because you watched “Gravity”: this looks much like “Gravity” (cosine 0.8312), both: dark, plain, wide.",
        "Because you watched “Gravity”: this looks much like “Gravity”, both: dark, plain, wide.",
    ),
    (
        {"alike:audio:a>i": {"modality": "audio", "cosine": 0.6, "attributes": []}},
        "Because you watched “Gravity”: this sounds like “Gravity” (cosine 0.6).",
        "Because you watched “Gravity”: this sounds like “Gravity”.",
    ),
    (
        {"alike:text:a>i": {"modality": "text", "cosine": 0.4, "attributes": []}},
        "Because you watched “Gravity”: this is described somewhat like “Gravity” (cosine 0.4).",
        "Because you watched “Gravity”: this is described somewhat like “Gravity”.",
    ),
    (
        {"trend:7@1500>i": TREND},
        "40 people watched this in the 7 days up to 1970-01-01, which is rank 3 among all films.",
        "More than 20 people watched this in the 7 days up to 1970-01-01.",
    ),
    (
        {"trend:1@1500>i": {"users": 5, "days": 1, "rank": 1}},
        "5 people watched this in the day up to 1970-01-01, which is rank 1 among all films.",
        "At least 5 people watched this in the day up to 1970-01-01.",
    ),
    (
        {"taken:>i": {"users": 512}},
        "512 people watched this in all.",
        "More than 500 people watched this in all.",
    ),
]


@pytest.mark.parametrize(("facts", "operator", "public"), KINDS, ids=lambda one: next(iter(one)) if one else "")
def test_each_kind_in_both_views(facts: dict[str, dict[str, Any]], operator: str, public: str) -> None:
    assert said(facts, OPERATOR) == operator
    assert said(facts, PUBLIC) == public


@pytest.mark.parametrize(
    ("fact", "stored", "clause"),
    [
        ("attribute:categories=Drama:a>i", DRAMA, "“Gravity” and this are both in the category “Drama”"),
        (
            "attribute:year=1995:a>i",
            {"name": "year", "value": 1995, "items": 9},
            "“Gravity” and this are both from 1995",
        ),
        (
            "attribute:brand=A24:a>i",
            {"name": "brand", "value": "A24", "items": 9},
            "“Gravity” and this are both by “A24”",
        ),
        (
            "attribute:title%20word=space:a>i",
            {"name": "title word", "value": "space", "items": 9},
            "“Gravity” and this both have “space” in the title",
        ),
        ("attribute:tag=space:a>i", {"name": "tag", "value": "space", "items": 9}, "are both tagged “space”"),
        (
            "attribute:lead_actor=Bo:a>i",
            {"name": "lead_actor", "value": "Bo", "items": 9},
            "“Gravity” and this have “Bo” in common (lead actor)",
        ),
    ],
)
def test_attributes_read_by_their_column(fact: str, stored: dict[str, Any], clause: str) -> None:
    for settings in (OPERATOR, PUBLIC):
        assert clause in said({fact: stored}, settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("title word", "of"), ("title word", "The"), ("title word", "für"), ("category", "(no genres listed)")],
)
def test_what_titles_share_without_having_anything_in_common_is_no_reason(name: str, value: str) -> None:
    fact = FactId.attribute(name, value, "a", "i").text
    stored = {"name": name, "value": value, "items": 9}
    told = said({fact: stored}, PUBLIC)
    assert (told == ABSTENTION) == (value != "für")
    tagged = FactId.attribute("tag", "of", "a", "i").text
    assert "are both tagged" in said({tagged: {**stored, "name": "tag", "value": "of"}}, PUBLIC)


def test_a_number_that_both_have_is_no_count() -> None:
    stored = {"name": "shelf_no", "value": 1, "items": 9}
    told = said({"attribute:shelf_no=1:a>i": stored}, PUBLIC)
    assert told == "Because you watched “Gravity”: “Gravity” and this have the same shelf no, 1."


def test_sources_and_values_of_one_attribute_are_told_in_one_claim() -> None:
    crime = {**DRAMA, "value": "Crime"}
    facts = {f"attribute:categories=Drama:{j}>i": DRAMA for j in "abcd"}
    assert "“Gravity”, “Interstellar”, “Moon”, 1 more of your films and this are all in the category “Drama”" in said(
        facts, PUBLIC
    )
    facts = {f"attribute:categories={one['value']}:{j}>i": one for j in "ab" for one in (DRAMA, crime)}
    store = Told(facts)
    rationale = write(explained(store), store, FILMS, PUBLIC)
    assert [claim.facts["values"] for claim in rationale.claims] == [["Crime", "Drama"]]
    assert len(rationale.claims[0].evidence) == 4
    assert "are all in the categories “Crime” and “Drama”." in rationale.text


def test_claims_make_two_sentences() -> None:
    facts: dict[str, Mapping[str, Any]] = {
        "followed:a>i": FOLLOWED,
        "attribute:categories=Drama:b>i": DRAMA,
        "trend:7@1500>i": TREND,
    }
    assert said(facts, PUBLIC) == (
        "Because you watched “Interstellar” and “Gravity”: “Interstellar” and this are both in the category “Drama”; "
        "more than 200 people who watched “Gravity” watched this within their next three films. "
        "Also, more than 20 people watched this in the 7 days up to 1970-01-01."
    )


@pytest.mark.parametrize("sentences", [1, 2])
def test_no_more_sentences_than_asked_for(sentences: int) -> None:
    facts = {f"followed:{j}>i": FOLLOWED for j in "abcd"} | {"trend:7@1500>i": TREND}
    settings = RationaleSettings(sentences=sentences, claims=10)
    text = said(facts, settings)
    assert len(text.split(". ")) == sentences


@pytest.mark.parametrize(
    ("noun", "verb", "clause"),
    [
        ("film", "watched", "watched “Gravity” watched this within their next three films"),
        ("product", "bought", "bought “Gravity” bought this within their next three products"),
        ("book", "read", "read “Gravity” read this within their next three books"),
        ("song", "listened to", "listened to “Gravity” listened to this within their next three songs"),
        ("video", "liked", "liked “Gravity” liked this within their next three videos"),
        ("place", "visited", "visited “Gravity” visited this within their next three places"),
        ("", "", "chose “Gravity” chose this within their next three items"),
        ("news\n story", "<b>saw</b>", "<b>saw</b> “Gravity” <b>saw</b> this within their next three news stories"),
    ],
)
def test_the_noun_and_the_verb_are_those_of_the_data(noun: str, verb: str, clause: str) -> None:
    info = DatasetInfo(noun=noun, verb=verb)
    assert said({"followed:a>i": FOLLOWED}, OPERATOR, info).endswith(f"231 of the 1,204 people who {clause}.")
    assert said({"trend:7@1500>i": TREND}, PUBLIC, info).endswith(
        f"people {Words.of(info).verb} this in the 7 days up to 1970-01-01."
    )


@pytest.mark.parametrize(
    ("one", "many"),
    [
        *[("story", "stories"), ("box", "boxes"), ("series", "series"), ("board game", "board games")],
        *[("play", "plays"), ("quiz", "quizzes"), ("hero", "heroes"), ("photo", "photos"), ("man", "men")],
        *[("Woman", "Women"), ("knife", "knives"), ("sheep", "sheep"), ("Films", "Films"), ("bus", "buses")],
        *[("class", "classes"), ("thesis", "theses"), ("human", "humans"), ("leaf", "leaves"), ("", "s")],
        *[("piece of music", "pieces of music"), ("work of art", "works of art"), ("point in time", "points in time")],
    ],
)
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_what_is_true_of_both_is_had_and_what_is_false_is_not_said() -> None:
    stored = {"name": "in_stock", "value": True, "items": 60}
    true = {"attribute:in_stock=true:a>i": stored}
    for settings in (OPERATOR, PUBLIC):
        assert said(true, settings) == "Because you watched “Gravity”: “Gravity” and this are both marked “in stock”."
        for value, name in ((False, "false"), (0, "0"), (1, "1")):
            store = Told({f"attribute:in_stock={name}:a>i": {**stored, "value": value}})
            told = write(explained(store), store, FILMS, settings)
            assert told.abstains == (value is False)
            assert "both have" not in told.text
    assert claim_texts("attribute", {**stored, "titles": ["A", "B"], "values": [True]}, Words.of(FILMS)) == (
        "“A”, “B” and this are all marked “in stock”",
        "this is marked “in stock”, as “A” and “B” are",
        "like “A” and “B”, this is marked “in stock”",
    )


def test_only_followed_speaks_of_order() -> None:
    for facts, operator, public in KINDS:
        if not any(name.startswith("followed") for name in facts):
            assert "next" not in operator + public
            assert "then" not in operator + public


def test_where_the_latent_score_carries_most_it_says_so() -> None:
    store = Told({"followed:a>i": FOLLOWED})
    for latent, small in ((10.0, True), (1.0, False), (-10.0, False)):
        text = write(explained(store, latent=latent), store, FILMS, PUBLIC).text
        assert text.endswith(SMALL_PART) == small


def test_with_nothing_to_say_it_says_so() -> None:
    store = Told({})
    for settings in (OPERATOR, PUBLIC):
        rationale = write(explained(store, latent=3.0, rest=2.0), store, FILMS, settings)
        assert rationale.abstains
        assert (rationale.text, rationale.told) == (ABSTENTION, 0.0)
