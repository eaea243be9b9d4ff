"""Amazon's three generations of JSON lines, with reviews and products made up for the test."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from dynmm.errors import DataError
from dynmm.interactions.importers.amazon import import_amazon
from dynmm.interactions.importers.jsonlines import parse_object


def write(path: Path, lines: list[str]) -> Path:
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def review_2014(user: str, item: str, **changes: Any) -> str:
    record = {
        "reviewerID": user,
        "asin": item,
        "reviewerName": 'Jo "J" O\'Dee',
        "helpful": [0, 1],
        "reviewText": "Works, as said.",
        "overall": 5.0,
        "summary": "good",
        "unixReviewTime": 1391040000,
        "reviewTime": "01 30, 2014",
    }
    return json.dumps(record | changes)


def folder_2014(folder: Path) -> Path:
    write(folder / "reviews_Soap_5.json.gz", [review_2014("A1", "B01"), review_2014("A2", "B02", overall=2.0)])
    products = [
        {
            "asin": "B01",
            "title": "Fern &amp; Moss\n Soap",
            "price": 3.99,
            "imUrl": "http://images.example/b01.jpg",
            "related": {"also_bought": ["B02"]},
            "categories": [["Beauty", "Soap"], ["Beauty", "Gifts"]],
            "brand": "Mossy",
            "description": "It's green.",
        },
        {"asin": "B02", "categories": [["Beauty"]]},
        {"asin": "B99", "title": "Nobody reviewed this", "categories": [["Beauty"]]},
    ]
    write(folder / "meta_Soap.json.gz", [repr(product) for product in products])  # Python literals, as in 2014
    return folder


def test_2014_reviews_with_python_literal_metadata(tmp_path: Path) -> None:
    imported = import_amazon(folder_2014(tmp_path))

    assert imported.info.name == "reviews_Soap_5"
    assert (imported.info.noun, imported.info.verb, imported.info.time_resolution) == ("product", "bought", "day")
    assert imported.info.notes == "Amazon reviews 2014"
    assert imported.interactions.rows() == [("A1", "B01", 5.0, 1391040000000), ("A2", "B02", 2.0, 1391040000000)]
    assert imported.items is not None
    assert imported.items.to_dicts() == [
        {
            "item_id": "B01",
            "title": "Fern & Moss Soap",
            "description": "It's green.",
            "brand": "Mossy",
            "categories": ["Beauty", "Soap", "Gifts"],
            "image_urls": ["http://images.example/b01.jpg"],
        },
        {
            "item_id": "B02",
            "title": None,
            "description": None,
            "brand": None,
            "categories": ["Beauty"],
            "image_urls": None,
        },
    ]
    assert imported.left_out == {"metadata: items without a review": 1}


def test_all_items_of_the_metadata_on_request(tmp_path: Path) -> None:
    imported = import_amazon(folder_2014(tmp_path), all_items=True)
    assert imported.items is not None
    assert imported.items["item_id"].to_list() == ["B01", "B02", "B99"]
    assert imported.left_out == {}


def test_2014_reviews_that_are_literals_themselves(tmp_path: Path) -> None:
    literal = repr(json.loads(review_2014("A3", "B03")))
    path = write(tmp_path / "reviews_Soap.json", [review_2014("A1", "B01"), literal])
    assert import_amazon(path).interactions["user_id"].to_list() == ["A1", "A3"]


def test_2018(tmp_path: Path) -> None:
    review = {
        "overall": 4.0,
        "vote": "2",
        "verified": True,
        "reviewTime": "09 22, 2016",
        "reviewerID": "A1",
        "asin": "B01",
        "style": {"Color:": " Red"},
        "reviewText": "fine",
        "summary": "fine",
        "unixReviewTime": 1474502400,
    }
    meta = {
        "category": ["Office", "<b>junk</b>", "Pens"],
        "tech1": "",
        "description": ["Writes.", "Does not leak."],
        "title": "Pen, blue",
        "also_buy": [],
        "brand": "Inky",
        "rank": [],
        "asin": "B01",
        "imageURL": ["https://images.example/small.jpg"],
        "imageURLHighRes": ["https://images.example/large.jpg"],
    }
    write(tmp_path / "Office_5.json.gz", [json.dumps(review)])
    write(tmp_path / "meta_Office.json.gz", [json.dumps(meta), json.dumps(meta | {"title": "again"})])
    imported = import_amazon(tmp_path)
    assert imported.info.notes == "Amazon reviews 2018"
    assert imported.info.time_resolution == "day"
    assert imported.items is not None
    assert imported.items.rows() == [
        (
            "B01",
            "Pen, blue",
            "Writes. Does not leak.",
            "Inky",
            ["Office", "Pens"],
            ["https://images.example/large.jpg"],
        )
    ]
    assert imported.left_out == {"metadata: repeated product": 1}


def test_2023_joins_variants_by_parent(tmp_path: Path) -> None:
    reviews = [
        {
            "rating": 5.0,
            "title": "Lovely",
            "text": "Smells of pine.",
            "images": [],
            "asin": asin,
            "parent_asin": "P1",
            "user_id": user,
            "timestamp": 1588687728923,
            "helpful_vote": 0,
            "verified_purchase": True,
        }
        for asin, user in (("B01", "AE1"), ("B02", "AE2"))
    ]
    meta = {
        "main_category": "All Beauty",
        "title": "Pine Spray",
        "average_rating": 4.8,
        "rating_number": 10,
        "features": [],
        "description": [],
        "price": None,
        "images": [
            {"thumb": "https://i.example/t.jpg", "large": "https://i.example/l.jpg", "hi_res": None, "variant": "MAIN"},
            {"thumb": "https://i.example/t2.jpg", "large": "x", "hi_res": "https://i.example/h.jpg", "variant": "PT01"},
        ],
        "videos": [],
        "store": "Piny",
        "categories": [],
        "details": {"Package": "1"},
        "parent_asin": "P1",
        "bought_together": None,
    }
    write(tmp_path / "All_Beauty.jsonl", [json.dumps(review) for review in reviews])
    write(tmp_path / "meta_All_Beauty.jsonl", [json.dumps(meta)])
    imported = import_amazon(tmp_path)
    assert imported.info.time_resolution == "second"
    assert imported.interactions["item_id"].to_list() == ["P1", "P1"]
    assert imported.interactions["timestamp"].to_list() == [1588687728923] * 2
    assert imported.items is not None
    assert imported.items.rows() == [
        ("P1", "Pine Spray", None, "Piny", ["All Beauty"], ["https://i.example/l.jpg", "https://i.example/h.jpg"])
    ]


BAD = [
    review_2014("A1", "B01"),
    "",
    "{'reviewerID': 'A2', 'asin'",  # cut off
    review_2014("A3", "B03", overall="five"),
    review_2014("", "B03"),
    review_2014("A4", "B04", unixReviewTime=None),
    review_2014("A5", "B05"),
]


def test_a_malformed_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"reviews.json, line 3: the row is not a JSON object; mend the row"):
        import_amazon(write(tmp_path / "reviews.json", BAD))
    with pytest.raises(DataError, match=r"line 3, column 'overall': 'five' is not a finite number"):
        import_amazon(write(tmp_path / "reviews.json", [*BAD[:2], *BAD[3:]]))


def test_malformed_lines_are_counted_when_skipped(tmp_path: Path) -> None:
    imported = import_amazon(write(tmp_path / "reviews.json", BAD), skip_bad=True)
    assert imported.interactions["user_id"].to_list() == ["A1", "A5"]
    assert imported.left_out == {
        "unreadable row": 1,
        "rating is not a finite number": 1,
        "user_id is empty": 1,
        "timestamp missing": 1,
    }


def test_malformed_metadata(tmp_path: Path) -> None:
    write(tmp_path / "reviews_X.json", [review_2014("A1", "B01")])
    write(tmp_path / "meta_X.json", ["{'asin': 'B01', 'title': __import__('os')}", '{"title": "no id"}'])
    with pytest.raises(DataError, match=r"meta_X.json, line 1: .*not a JSON object or Python literal"):
        import_amazon(tmp_path)
    imported = import_amazon(tmp_path, skip_bad=True)
    assert imported.left_out == {"metadata: unreadable row": 2}


def test_files_that_are_not_reviews(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Amazon reviews"):
        import_amazon(write(tmp_path / "other.json", ['{"name": "x"}']))
    write(tmp_path / "another.json", [review_2014("A1", "B01")])
    with pytest.raises(DataError, match=r"holds another.json, other.json"):
        import_amazon(tmp_path)


def test_a_line_nested_too_deeply_is_no_object() -> None:
    assert parse_object(b"[" * 100_000) is None
