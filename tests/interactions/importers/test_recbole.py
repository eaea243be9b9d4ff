"""RecBole atomic files with typed headers, made up for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynmm.errors import DataError
from dynmm.interactions.importers.recbole import import_recbole

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n186\t302\t3\t891717742\n"


def folder(path: Path, inter: str = INTER) -> Path:
    path.mkdir(exist_ok=True)
    (path / "films.inter").write_text(inter)
    (path / "films.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tlength:float\n"
        "242\tQuiet Harbor\t1997\tComedy Drama\t92.5\n"
        "302\tOpen 'Quote\t\tWar\t\n"
    )
    (path / "films.user").write_text("user_id:token\tage:token\n196\t49\n186\t39\n")
    return path


def test_all_three_files(tmp_path: Path) -> None:
    imported = import_recbole(folder(tmp_path / "films"))
    assert imported.info.name == "films"
    assert imported.info.time_resolution == "second"
    assert imported.info.notes == "timestamps read in unit s"
    assert imported.interactions.columns == ["user_id", "item_id", "timestamp", "rating"]
    assert imported.interactions.row(0) == ("196", "242", 881250949000, 3.0)
    assert imported.items is not None
    assert imported.items.to_dicts() == [
        {"item_id": "242", "title": "Quiet Harbor", "year": 1997, "categories": ["Comedy", "Drama"], "length": 92.5},
        {"item_id": "302", "title": "Open 'Quote", "year": None, "categories": ["War"], "length": None},
    ]
    assert imported.users is not None
    assert imported.users.rows() == [("196", "49"), ("186", "39")]


def test_milliseconds_are_seen_and_said(tmp_path: Path) -> None:
    inter = INTER.replace("881250949", "881250949000").replace("891717742", "891717742000")
    imported = import_recbole(folder(tmp_path, inter))
    assert imported.interactions["timestamp"].to_list() == [881250949000, 891717742000]
    assert imported.info.notes == "timestamps read in unit ms"


def test_quoted_categories_of_amazon_files(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "films.item").write_text(
        "item_id:token\ttitle:token\tcategories:token_seq\tbrand:token\n242\tA Pen\t'Office & School', 'Pens'\tInky\n"
    )
    items = import_recbole(tmp_path).items
    assert items is not None
    assert items.rows() == [("242", "A Pen", ["Office & School", "Pens"], "Inky")]


def test_no_timestamps(tmp_path: Path) -> None:
    inter = "user_id:token\titem_id:token\nb\t1\na\t1\nb\t2\n"
    assert import_recbole(folder(tmp_path, inter)).info.time_resolution == "none"
    imported = import_recbole(tmp_path, in_order=True)
    assert imported.info.time_resolution == "order"
    assert imported.interactions["position"].to_list() == [0, 0, 1]


def test_headers_without_types_or_ids(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: header field 'user_id' should read name:type"):
        import_recbole(folder(tmp_path, "user_id\titem_id:token\n1\t2\n"))
    with pytest.raises(DataError, match=r"no field item_id:token"):
        import_recbole(folder(tmp_path, "user_id:token\tbook_id:token\n1\t2\n"))
    (tmp_path / "second.inter").write_text(INTER)
    with pytest.raises(DataError, match=r"films.inter, second.inter"):
        import_recbole(tmp_path)


def test_malformed_rows(tmp_path: Path) -> None:
    folder(tmp_path, INTER + "1\t2\t3\tyesterday\n1\t2\t3\t881250949\tmore\n1\n")
    with pytest.raises(DataError, match=r"films.inter, line 4, column 'timestamp': 'yesterday' is not a time in s"):
        import_recbole(tmp_path)
    imported = import_recbole(tmp_path, skip_bad=True)
    assert imported.interactions.height == 2
    assert sum(imported.left_out.values()) == 3
    assert imported.left_out["item_id missing"] == 1
