"""The part of the report that says why: parts of a score, reasons, and facts to unfold, whatever titles hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from dynmm.evaluation.examples import Example, Recommended, examples
from dynmm.evaluation.report import ReportData, render
from dynmm.types import Claim, Evidence, Explained, Rationale

HOSTILE = "<script>alert(\"1\")</script>' onclick='x\u202edessap eb ot\u2066 & </bdi></details>"
FACT = Evidence("followed:a>i", "followed", "i", ("a",), {"users": 7, "within": 3, "source_users": 9}, 0.6)


def rationale(text: str = "Because you watched “A”: 7 people did.", *, claims: int = 1, told: float = 0.4) -> Rationale:
    made = tuple(Claim("followed", text, (FACT.id,), {}) for _ in range(claims))
    return Rationale("u", "i", text, 100, made, "public", 5, told)


def recommended(title: str = "Arrival", **changes: object) -> Recommended:
    parts = {"latent": 3.0, "evidence": 1.0}
    told = Explained("i", 4.0, 1, parts, (FACT,), 0.4, 100)
    values: dict[str, object] = {
        "title": title,
        "explained": told,
        "rationale": rationale(),
        "clauses": {FACT.id: "7 of the 9 people who watched “A” watched this"},
        "tellable": 0.75,
        "what_if": "“A” in the history: it adds 0.6; without it rank 1 would be 7.",
    }
    return Recommended(**{**values, **changes})  # type: ignore[arg-type]


def page(*shown: Recommended, user: str = "u", checked: str = "All hold.") -> str:
    return "\n".join(examples([Example(user, ["Moon"], list(shown))], checked, "watched"))


class Reader(HTMLParser):
    """Tags with their attributes; how deep they are when each ends; text."""

    VOID = frozenset({"meta", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def test_a_reason_stands_with_its_score_its_facts_and_what_would_be_without() -> None:
    text = read(page(recommended())).text
    for said in (
        "Because you watched “A”: 7 people did.",
        "score 4.0000 = latent 3.0000 + evidence 1.0000",
        "1 fact behind it",
        "7 of the 9 people who watched “A” watched this",
        "+0.6000",
        "followed:a>i",
        "all other facts together",
        "+0.4000",
        "75% could be told in public, where 5 people must stand behind every count",
        "the reason above tells at least 40%",
        "without it rank 1 would be 7",
        "All hold.",
    ):
        assert said in text, said


def test_the_bar_is_as_long_as_the_shares() -> None:
    assert re.findall(r"width:([0-9.]+)%", page(recommended())) == ["75.0", "25.0"]
    lowering = Explained("i", 2.0, 1, {"latent": 3.0, "evidence": -1.0}, (FACT,), 0.0, 100)
    made = page(recommended(explained=lowering))
    assert re.findall(r"width:([0-9.]+)%", made) == ["100.0", "0.0"]
    assert "evidence -1.0000" in made
    nothing = Explained("i", -1.0, 1, {"latent": -1.0, "evidence": 0.0}, (), 0.0, 100)
    assert "width:" not in page(recommended(explained=nothing))


def test_the_facts_are_unfolded_without_a_script_and_the_first_is_open() -> None:
    reader = read(page(recommended(), recommended("Solaris")))
    assert reader.tags.count("details") == reader.tags.count("summary") == 2
    assert [name for name, _ in reader.attributes].count("open") == 1


def test_an_abstention_is_shown_as_one() -> None:
    silent = rationale("There is no fact that may be shown for this item.", claims=0, told=0.0)
    made = page(recommended(rationale=silent, tellable=0.0))
    assert '<p class="abstains"><bdi>There is no fact that may be shown for this item.</bdi></p>' in made
    assert "the reason above tells nothing" in made
    assert 'class="abstains"' not in page(recommended())


def test_without_evidence_there_is_nothing_to_unfold_and_no_share() -> None:
    bare = Explained("i", 3.0, 1, {"latent": 3.0, "evidence": 0.0}, (), 0.0, 100)
    made = page(recommended(explained=bare, clauses={}, what_if=None))
    assert "No single fact stands behind it" in made
    assert "<table>" not in made
    assert "could be told in public" not in made


def test_a_share_below_a_tenth_is_told_as_such_and_the_operator_reads_it_exactly() -> None:
    assert "tells less than 10%" in page(recommended(rationale=rationale(told=0.0)))
    exact = Rationale("u", "i", "x", 100, rationale().claims, "operator", 5, 0.4321)
    assert "tells 43%" in page(recommended(rationale=exact))


def test_a_fact_of_no_words_is_told_by_its_kind() -> None:
    assert "<td><bdi>followed</bdi></td>" in page(recommended(clauses={}))


@pytest.mark.parametrize("whole", [False, True])
def test_hostile_text_stays_text(whole: bool) -> None:
    fact = Evidence(HOSTILE, "followed", "i", ("a",), {}, 0.6)
    told = Explained(HOSTILE, 4.0, 1, {HOSTILE: 3.0, "evidence": 1.0}, (fact,), 0.0, 100)
    one = recommended(
        HOSTILE, explained=told, rationale=rationale(HOSTILE), clauses={HOSTILE: HOSTILE}, what_if=HOSTILE
    )
    shown = [Example(HOSTILE, [HOSTILE], [one])]
    html = render(ReportData("r", examples=shown, checked=HOSTILE, verb=HOSTILE)) if whole else page(one, user=HOSTILE)
    reader = read(html)
    assert "script" not in reader.tags
    assert {name for name, _ in reader.attributes} <= {"class", "style", "open", "lang", "charset", "name", "content"}
    assert reader.text.count(HOSTILE) >= 8


def test_marks_of_direction_end_with_the_title_that_holds_them() -> None:
    one = recommended(HOSTILE, rationale=rationale(HOSTILE), clauses={FACT.id: HOSTILE}, what_if=HOSTILE)
    html = "".join(examples([Example(HOSTILE, [HOSTILE], [one])], "", "watched"))
    assert html.count("\u202e") == 6
    outside = re.sub(r"<bdi>.*?</bdi>", "", html, flags=re.S)
    assert not {"\u202e", "\u2066"} & set(outside)


def test_without_examples_there_is_no_section() -> None:
    assert examples([], "", "watched") == []
    assert "Recommendations for some users" not in render(ReportData("r"))


def test_a_user_who_had_everything_has_an_empty_list() -> None:
    assert "<ol>\n</ol>" in page()
