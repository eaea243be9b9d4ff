"""Csv and tsv with any columns: guesses, options, units of time, malformed rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.errors import DataError, EmptyDataError
from dynmm.interactions.importers import import_folder
from dynmm.interactions.importers.csv_files import import_csv
from dynmm.interactions.importers.times import resolve_unit


def write(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


def test_usual_headers_are_guessed(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "User ID,productId,event_type,unixReviewTime\nann,x1,view,1700000000\n")
    imported = import_csv(path)
    assert imported.info.name == "log"
    assert imported.info.time_resolution == "second"
    assert imported.interactions.columns == ["user_id", "item_id", "timestamp", "kind"]
    assert imported.interactions.row(0) == ("ann", "x1", 1700000000000, "view")


def test_columns_by_option_and_a_tab_file(tmp_path: Path) -> None:
    path = write(tmp_path / "log.tsv", 'who\twhat\twhen\tscore\nann\t"x ""1"""\t2024-05-31T12:00:00Z\t4.5\n')
    imported = import_csv(path, user="who", item="what", time="when", rating="score")
    assert imported.interactions.row(0) == ("ann", 'x "1"', 1717156800000, 4.5)


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", '\ufeffuser,item,rating\r\na,1,5\r\n"b","2",4\r\n')
    assert import_csv(path).interactions.rows() == [("a", "1", 5.0), ("b", "2", 4.0)]


def test_dates_without_hours_are_days(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item,date\na,1,2024-05-30\na,2,2024-05-31\n")
    imported = import_csv(path)
    assert imported.info.time_resolution == "day"
    assert imported.interactions["timestamp"].to_list() == [1717027200000, 1717113600000]


def test_offsets_and_fractions_of_iso_times(tmp_path: Path) -> None:
    path = write(
        tmp_path / "log.csv",
        "user,item,time\na,1,2024-05-31T14:00:00+02:00\na,2,2024-05-31 12:00:00.250\na,3,2024-05-31 12:01\n",
    )
    times = import_csv(path).interactions["timestamp"].to_list()
    assert times == [1717156800000, 1717156800250, 1717156860000]


def test_seconds_where_milliseconds_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item,ts\na,1,1700000000\na,2,1700000060\n")
    with pytest.raises(DataError) as caught:
        import_csv(path, time_unit="ms")
    message = str(caught.value)
    for part in ("'ts'", "milliseconds", "1970-01-20", "look like seconds", "time_unit s"):
        assert part in message
    assert import_csv(path).interactions["timestamp"].to_list() == [1700000000000, 1700000060000]
    assert "unit s" in import_csv(path).info.notes


@pytest.mark.parametrize(("factor", "unit"), [(1, "s"), (10**3, "ms"), (10**6, "us"), (10**9, "ns")])
@given(st.integers(946_684_800, 1_900_000_000))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_any_moment_since_2000_is_found(factor: int, unit: str, second: int) -> None:
    assert resolve_unit([str(second * factor)], None, "here") == unit


def test_small_numbers_are_no_times(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item,time\na,1,1\na,2,2\n")
    with pytest.raises(DataError, match="in_order"):
        import_csv(path)


def test_rows_in_order_without_time(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item\nb,1\na,1\nb,2\n")
    assert import_csv(path).info.time_resolution == "none"
    imported = import_csv(path, in_order=True)
    assert imported.info.time_resolution == "order"
    assert imported.interactions["position"].to_list() == [0, 0, 1]


def test_item_table(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item\na,1\n")
    items = write(tmp_path / "items.csv", "itemId,name,genres,year,colour\n1,Quay,Drama|War,1999,red\n2,,a;b,,\n")
    imported = import_csv(path, items=items)
    assert imported.items is not None
    assert imported.items.to_dicts() == [
        {"item_id": "1", "title": "Quay", "categories": ["Drama", "War"], "year": 1999, "colour": "red"},
        {"item_id": "2", "title": None, "categories": ["a", "b"], "year": None, "colour": None},
    ]


@pytest.mark.parametrize("year", ["99999", "1999.5", "soon"])
def test_a_year_that_is_none_is_a_bad_value(tmp_path: Path, year: str) -> None:
    path = write(tmp_path / "log.csv", "user,item\na,1\na,2\n")
    items = write(tmp_path / "items.csv", f"item,title,year\n1,Quay,1999.0\n2,Pier,{year}\n")
    with pytest.raises(DataError, match=rf"line 3, column 'year': '{year}' is not a year; write a whole number"):
        import_csv(path, items=items)
    imported = import_csv(path, items=items, skip_bad=True)
    assert imported.items is not None
    assert imported.items["year"].to_list() == [1999]
    assert imported.left_out == {"items: year is not a year": 1}


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,thing\na,1\n")
    with pytest.raises(DataError, match=r"no column looks like item_id among: user, thing.*--item"):
        import_csv(path)
    with pytest.raises(DataError, match="no column 'stuff'"):
        import_csv(path, item="stuff")
    with pytest.raises(DataError, match="no time column"):
        import_csv(path, item="thing", time_unit="s")


def test_empty_file_and_repeated_header(tmp_path: Path) -> None:
    with pytest.raises(EmptyDataError):
        import_csv(write(tmp_path / "empty.csv", "\n"))
    with pytest.raises(DataError, match="stands twice"):
        import_csv(write(tmp_path / "twice.csv", "user,item,user\na,1,b\n"))


def test_line_numbers_count_blank_lines_and_breaks_in_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", 'user,item,rating\na,"two\nlines",1\n\na,2,\na,3,bad\n')
    with pytest.raises(DataError, match=r"line 6, column 'rating': 'bad'"):
        import_csv(path)
    imported = import_csv(path, skip_bad=True)
    assert imported.interactions["rating"].to_list() == [1.0, None]
    assert imported.left_out == {"rating is not a finite number": 1}


def test_broken_bytes_and_surplus_fields_spoil_one_row_each(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"user,item\na,1\nc,\xff\nd,2,3\ne,4\n")
    with pytest.raises(DataError, match=r"line 3: the row is not UTF-8 text"):
        import_csv(path)
    imported = import_csv(path, skip_bad=True)
    assert imported.interactions["user_id"].to_list() == ["a", "e"]
    assert imported.left_out == {"unreadable row": 1, "too many fields": 1}


#: A text of two lines, of which the second looks like a row. It is none.
REVIEWS = 'user,item,rating,text\nann,tea,5,"Great tea,\nI love it, really"\nbob,milk,4,"fine"\n'


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("bad", "why"),
    [(b'dan,milk,5,"caf\xe9"', "not UTF-8"), (b'dan,milk,5,"caf"e"x', "a quote that is not closed or not escaped")],
)
def test_one_bad_row_leaves_quoted_lines_whole(tmp_path: Path, bad: bytes, why: str, end: str) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes((REVIEWS.encode() + bad + b'\neve,tea,3,"y"\n').replace(b"\n", end.encode()))
    with pytest.raises(DataError, match=f"line 5: the row .*{why}"):
        import_csv(path)
    imported = import_csv(path, skip_bad=True)
    assert imported.interactions.rows() == [("ann", "tea", 5.0), ("bob", "milk", 4.0), ("eve", "tea", 3.0)]
    assert imported.left_out == {"unreadable row": 1}


def test_no_line_of_a_broken_text_becomes_a_row(tmp_path: Path) -> None:
    broken = 'ann,tea,5,"He said "yes" to it,\nand, so, 4, did I\nand, at last, 3, you"\n'
    path = tmp_path / "log.csv"
    path.write_bytes(("user,item,rating,text\n" + broken + "bob,milk,4,fine\n").encode() + b"cid,tea,3,\xff\n")
    imported = import_csv(path, skip_bad=True)
    assert imported.interactions.rows() == [("bob", "milk", 4.0)]
    assert imported.left_out == {"unreadable row": 4}


def test_after_a_quote_that_never_closes_a_quoted_row_shows_where_rows_begin_again(tmp_path: Path) -> None:
    head = 'user,item,rating,text\nann,tea,5,"never closed\nI, like, 2, rows\n'
    path = write(tmp_path / "log.csv", head + 'bob,milk,4,"fine"\ncid,tea,3,\n')
    with pytest.raises(DataError, match=r"line 2: the row has a quote that is not closed"):
        import_csv(path)
    imported = import_csv(path, skip_bad=True)
    assert imported.interactions.rows() == [("bob", "milk", 4.0), ("cid", "tea", 3.0)]
    assert imported.left_out == {"unreadable row": 2}
    cut = import_csv(write(path, "user,item,rating,text\nann,tea,5,\n" + head.partition("\n")[2]), skip_bad=True)
    assert cut.interactions.rows() == [("ann", "tea", 5.0)]
    assert cut.left_out == {"unreadable row": 2}


def test_a_carriage_return_within_a_row_opens_no_quote(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"user,item,text\na,1,x\ry\nb,2,z\nc,3,\xff\n")
    imported = import_csv(path, skip_bad=True)
    assert imported.interactions["user_id"].to_list() == ["b"]
    assert imported.left_out == {"unreadable row": 2}


def test_gzip_and_a_gzip_cut_short(tmp_path: Path) -> None:
    packed = gzip.compress("".join(["user,item\n", *(f"u{n},i{n * 7919}\n" for n in range(3000))]).encode())
    (tmp_path / "log.csv.gz").write_bytes(packed)
    assert import_csv(tmp_path / "log.csv.gz").interactions.height == 3000
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match="not a whole gzip"):
        import_csv(tmp_path / "cut.csv.gz")


def test_a_row_without_its_time_makes_the_data_partly_dated(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item,ts\na,1,1700000000\na,2,\n")
    assert import_csv(path).info.time_resolution == "partial"


def test_a_folder_and_lines_that_end_in_a_carriage_return(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; give the path of the file"):
        import_csv(tmp_path)
    with pytest.raises(DataError, match=r"line 1.*end each line with a line feed"):
        import_csv(write(tmp_path / "log.csv", "user,item\ra,1\rb,2\r"))


def test_one_column_is_not_both_users_and_items(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item\na,1\n")
    with pytest.raises(DataError, match="column 'item' cannot hold both"):
        import_csv(path, user="item")


def test_a_column_that_can_be_no_attribute_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = write(tmp_path / "log.csv", "user_id,item_id\nu,i\nu,j\n")
    items = write(tmp_path / "items.csv", ",item_id,title\n0,i,One\n1,j,Two\n")
    import_folder("csv", log, tmp_path / "data", items=items)
    assert [one.getMessage() for one in caplog.records] == [
        "the item table has a column without a name, which is no attribute; give it one, or take it out"
    ]
