"""MovieLens in its three file formats, with content made up for the test."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dynmm.errors import DataError, EmptyDataError
from dynmm.interactions.importers.movielens import import_movielens


def write(folder: Path, files: dict[str, str], encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode(encoding))
    return folder


def dat_folder(folder: Path) -> Path:
    return write(
        folder,
        {
            "ratings.dat": "1::10::5::978300760\n1::11::3::978302109\n2::10::4::978301968\n",
            "movies.dat": "10::Café: A Tale (1987)::Comedy|Drama\n11::No Year::Sci-Fi\n",
            "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
        },
        "latin-1",
    )


def test_dat_files_in_latin1(tmp_path: Path) -> None:
    imported = import_movielens(dat_folder(tmp_path / "ml-tiny"))

    assert imported.info.name == "ml-tiny"
    assert (imported.info.noun, imported.info.verb, imported.info.time_resolution) == ("film", "watched", "second")
    assert imported.interactions.rows()[0] == ("1", "10", 5.0, 978300760000)
    assert imported.items is not None
    assert imported.items.rows() == [
        ("10", "Café: A Tale", ["Comedy", "Drama"], 1987),
        ("11", "No Year", ["Sci-Fi"], None),
    ]
    assert imported.users is not None
    assert imported.users.columns == ["user_id", "gender", "age", "occupation", "zip"]
    assert imported.users.row(0) == ("1", "F", "1", "10", "48067")
    assert imported.left_out == {}


def test_dat_files_of_10m_are_utf8_and_have_tags(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            "ratings.dat": "7::20::3.5::1111111111\n",
            "movies.dat": "20::Œuvre (2001)::(no genres listed)\n",
            "tags.dat": "7::20::slow: burn::1111111112\n",
        },
    )
    imported = import_movielens(folder)
    assert imported.items is not None
    assert imported.tags is not None
    assert imported.items.row(0) == ("20", "Œuvre", [], 2001)
    assert imported.tags.row(0) == ("7", "20", "slow: burn", 1111111112000)


def test_csv_files_quote_titles(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "outer" / "ml-latest-tiny",
        {
            "ratings.csv": "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n1,32,3.0,1260759179\n",
            "movies.csv": 'movieId,title,genres\n31,"Hill, The (1999)",Drama|War\n32,Open,(no genres listed)\n',
            "tags.csv": "userId,movieId,tag,timestamp\n1,31,quiet,1260759200\n",
        },
    )
    imported = import_movielens(folder.parent)  # an archive often has one folder inside
    assert imported.info.name == "ml-latest-tiny"
    assert imported.interactions.height == 2
    assert imported.items is not None
    assert imported.items.row(0) == ("31", "Hill, The", ["Drama", "War"], 1999)
    assert imported.tags is not None
    assert imported.tags["timestamp"].to_list() == [1260759200000]


def test_100k_has_genre_flags(tmp_path: Path) -> None:
    flags = ["0"] * 19
    flags[1] = flags[5] = "1"
    folder = write(
        tmp_path,
        {
            "u.data": "196\t1\t3\t881250949\n186\t1\t3\t891717742\n",
            "u.item": f"1|Mañana (1995)|01-Jan-1995||http://example.org/1|{'|'.join(flags)}\n",
            "u.user": "196|24|M|technician|85711\n186|53|F|other|94043\n",
        },
        "latin-1",
    )
    imported = import_movielens(folder)
    assert imported.interactions["timestamp"].to_list() == [881250949000, 891717742000]
    assert imported.items is not None
    assert imported.items.row(0) == ("1", "Mañana", ["Action", "Comedy"], 1995)
    assert imported.users is not None
    assert imported.users.row(0) == ("196", "M", "24", "technician", "85711")


def test_gzipped_ratings(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv.gz").write_bytes(gzip.compress(b"userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n"))
    assert import_movielens(tmp_path).interactions.row(0) == ("1", "31", 2.5, 1260759144000)


BAD = (
    "1::10::5::978300760\n"
    "1::11::many::978302109\n"  # rating is no number
    "2::10::4\n"  # timestamp missing
    "::10::4::978301968\n"  # user missing
    "2::12::nan::978301968\n"  # rating is not finite
    "2::12::4::978301968::9\n"  # one field too many
    "2::13::4::978301999\n"
)


def test_a_malformed_row_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"ratings.dat": BAD})
    with pytest.raises(DataError) as caught:
        import_movielens(tmp_path)
    message = str(caught.value)
    for part in ("ratings.dat, line 2", "'rating'", "'many'", "not a finite number", "write a number", "skip_bad"):
        assert part in message


def test_malformed_rows_are_counted_when_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, {"ratings.dat": BAD})
    imported = import_movielens(tmp_path, skip_bad=True)
    assert imported.interactions["item_id"].to_list() == ["10", "13"]
    assert imported.left_out == {
        "rating is not a finite number": 2,
        "timestamp missing": 1,
        "user_id missing": 1,
        "too many fields": 1,
    }
    assert "left out 5 malformed rows" in caplog.text


def test_folders_that_hold_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ratings\.dat"):
        import_movielens(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        import_movielens(tmp_path / "nowhere")
    (tmp_path / "ratings.csv").write_bytes(b"")
    with pytest.raises(EmptyDataError, match="is empty"):
        import_movielens(tmp_path)


def test_a_zip_is_refused_with_the_mend(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("ml/ratings.dat", "1::10::5::978300760\n")
    with pytest.raises(DataError, match="extract it"):
        import_movielens(tmp_path / "ml.zip")
