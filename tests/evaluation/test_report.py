"""Figures that draw and a report that stands alone, whatever titles hold."""

from __future__ import annotations

import base64
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.evaluation.fakes import Counting, Fixed, cases, dataset, events, random_rows
from tests.evaluation.test_examples import recommended

from dynmm.evaluation import figures
from dynmm.evaluation.examples import Example
from dynmm.evaluation.protocols import full, run
from dynmm.evaluation.replay import Stream
from dynmm.evaluation.report import ReportData, accuracy_table, render, write_report
from dynmm.evaluation.sensed import Exhibit, Sensed
from dynmm.evaluation.streams import run_stream

NASTY = "<script>alert(1)</script> & \"Crouching\" 'Tiger' $x_$"


@pytest.fixture(scope="module")
def evaluated() -> dict[str, Any]:
    train = dataset(random_rows(100, 10, 30), n_items=30)
    asked = cases([[1], [2, 3], [4], []], [[5], [6], [7], [29]])
    rising = np.arange(30)
    systems = {"dynmm": [Fixed(rising)], NASTY: [Fixed(-rising)], "dynmm/backbone": [Fixed(np.zeros(30))]}
    return run(full(train, asked), systems).to_json()


@pytest.fixture(scope="module")
def streamed() -> dict[str, Any]:
    rows = random_rows(200, 10, 30)
    base = dataset(rows[:120], n_users=10, n_items=30)
    systems = {}
    for name in ("dynmm", "counting"):
        system = Counting()
        system.fit(base)
        systems[name] = [system]
    return run_stream(Stream.of(base, events(rows[120:])), systems).to_json()


def drawn(evaluated: dict[str, Any], streamed: dict[str, Any], form: figures.Format) -> dict[str, bytes]:
    curves = [figures.Curve(NASTY, [1, 2, 3], [0.1, 0.3, 0.2]), figures.Curve("two", [1, 2], [0.1, 0.2])]
    return {
        "accuracy": figures.accuracy(evaluated, form=form),
        "long tail": figures.long_tail(np.array([9, 0, 3, 3, 1]), noun="$film", form=form),
        "training": figures.training_curve(curves, form=form),
        "stream": figures.stream_curves(streamed, form=form),
    }


def test_figures_are_drawn_as_svg(evaluated: dict[str, Any], streamed: dict[str, Any]) -> None:
    for name, image in drawn(evaluated, streamed, "svg").items():
        root = ElementTree.fromstring(image)
        assert root.tag.endswith("svg"), name
        assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 10, name


def test_figures_are_drawn_as_png(evaluated: dict[str, Any], streamed: dict[str, Any]) -> None:
    for name, image in drawn(evaluated, streamed, "png").items():
        assert image.startswith(b"\x89PNG"), name


def test_the_same_figure_has_the_same_bytes(evaluated: dict[str, Any]) -> None:
    assert figures.accuracy(evaluated) == figures.accuracy(evaluated)


def test_a_stream_of_many_systems_draws_the_best_and_says_so(streamed: dict[str, Any]) -> None:
    names = ["dynmm", "dynmm/static", *(f"other-{place}" for place in range(9))]
    cell, systems = streamed["blocks"][0]["systems"]["counting"], streamed["systems"]["counting"]
    parts = [dict(row, systems=dict.fromkeys(names, cell)) for row in streamed["blocks"]]
    means = {name: {"hit@10": {"mean": float(place)}} for place, name in enumerate(names)}
    many = dict(streamed, systems=means, windows=parts, blocks=[])
    text = figures.stream_curves(many).decode()
    assert set(systems) >= {"hit@10"}
    assert "3 others not drawn" in text
    drawn_names = [name for name in names if f"<!-- {name} -->" in text]
    assert drawn_names == ["dynmm", "dynmm/static", *(f"other-{place}" for place in range(3, 9))]


def test_windows_are_drawn_unless_there_are_too_many(streamed: dict[str, Any]) -> None:
    few = dict(streamed, windows=streamed["windows"][:1])
    many = dict(streamed, windows=streamed["windows"][:1] * 100)
    assert figures.stream_curves(few) != figures.stream_curves(many)
    assert figures.stream_curves(many) == figures.stream_curves(dict(many, windows=many["windows"] * 2))


def test_figures_leave_the_shared_state_of_matplotlib_alone(evaluated: dict[str, Any]) -> None:
    import matplotlib

    before = {key: matplotlib.rcParams[key] for key in figures._STYLE}
    assert before != figures._STYLE
    figures.accuracy(evaluated)
    assert {key: matplotlib.rcParams[key] for key in figures._STYLE} == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_catalogue_without_events_still_draws() -> None:
    assert figures.long_tail(np.zeros(4, int)).startswith(b"<?xml")


def whole(evaluated: dict[str, Any], streamed: dict[str, Any]) -> ReportData:
    beside = dict(evaluated, protocol="sampled-99")
    return ReportData(
        title=NASTY,
        summary=["One sentence.", NASTY],
        data={"users": 12345, NASTY: NASTY},
        results=[dict(evaluated, beside=[beside]), streamed],
        item_counts=np.array([5, 3, 1]),
        training=[figures.Curve("seed 0", [1, 2], [0.1, 0.2])],
        examples=[Example(NASTY, [NASTY, "卧虎藏龙"], [recommended("Alien"), recommended(NASTY)])],
        reproduce=["dynmm fit <DATA> --out run"],
        verb="watched",
    )


class Reader(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_stands_alone_and_escapes(
    tmp_path: Path, evaluated: dict[str, Any], streamed: dict[str, Any]
) -> None:
    write_report(tmp_path / "report.html", whole(evaluated, streamed))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    assert "script" not in reader.tags
    assert not {"link", "iframe", "object"} & set(reader.tags)
    assert reader.tags.count("img") == 6
    assert all(address.startswith("data:image/svg+xml;base64,") for address in reader.addresses)
    assert reader.text.count(NASTY) >= 8
    assert "12,345" in reader.text
    assert "Watched, newest first" in reader.text
    assert "dynmm fit <DATA> --out run" in reader.text
    for word in ("卧虎藏龙", "full", "sampled-99", "stream/event", "event to effect", "Listed apart", "no gain"):
        assert word in reader.text, word


def test_embedded_figures_reach_for_nothing_outside(evaluated: dict[str, Any], streamed: dict[str, Any]) -> None:
    for address in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', render(whole(evaluated, streamed))):
        image = base64.b64decode(address).decode()
        links = re.findall(r'(?:xlink:)?href="([^"]*)"', image)
        assert all(link.startswith("#") for link in links)
        assert "<script" not in image


def test_an_empty_report_is_a_page() -> None:
    page = render(ReportData("Nothing yet"))
    assert page.startswith("<!doctype html>")
    assert "<h2>" not in page


def test_recall_is_left_out_where_it_says_what_hit_says(evaluated: dict[str, Any]) -> None:
    header = accuracy_table(evaluated).header
    assert "hit@10" in header
    assert not any(name.startswith("recall") for name in header)
    several = {"systems": {"a": {"hit@10": {"mean": 1.0}, "recall@10": {"mean": 0.5}}}}
    assert accuracy_table(several).header == ("system", "hit@10", "recall@10")


def test_what_a_picture_explains_stands_in_the_report_with_the_picture() -> None:
    exhibits = [Exhibit(f"{NASTY} (watched)", "image/png", b"\x89PNG..."), Exhibit("a tune", "audio/wav", b"RIFF")]
    data = ReportData("r", sensed=[Sensed(f"Owed {NASTY}", [f"User {NASTY} is."], {NASTY: 3, "none": 41}, exhibits)])
    page = render(data)
    assert "<script" not in page
    for kind, content in (("image/png", b"\x89PNG..."), ("audio/wav", b"RIFF")):
        assert f'src="data:{kind};base64,{base64.b64encode(content).decode()}"' in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4
    assert "<td>41</td>" in page
    assert "http" not in page.replace("https://www.w3.org", "").replace("http://www.w3.org", "")


def test_a_report_without_it_has_no_such_section() -> None:
    page = render(ReportData("r", sensed=[Sensed("Pictures and sounds", ["There are none."])]))
    assert "<h2>Pictures and sounds</h2>\n<p>There are none.</p>" in page
    assert "<table" not in page
    assert "<img" not in page
