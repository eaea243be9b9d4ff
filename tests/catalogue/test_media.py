"""Where media lie: in memory, in a table, in files; what cannot be read costs its row alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.catalogue.files import data_set, picture_file, scene

from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.decoding.cells import cells
from dynmm.catalogue.media import MediaSource
from dynmm.catalogue.parquetplace import ParquetPlace
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.errors import DataError
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.mediafiles import media_strays

Rows = list[tuple[str, str, str, bytes | None]]
ROWS: Rows = [
    ("b", "image", "png", b"b0"),
    ("a", "image", "jpeg", b"a0"),
    ("b", "audio", "wav", b"sound"),
    ("b", "image", "png", b"b1"),
    ("nobody", "image", "png", b"x"),
    ("a", "video", "mp4", b"y"),
]


def frame(rows: Rows = ROWS) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["item_id", "modality", "format", "bytes"], orient="row")


def written(folder: Path, media: pl.DataFrame | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    pl.DataFrame({"user_id": ["u", "u", "v"], "item_id": ["a", "b", "c"]}).write_parquet(
        folder / "interactions.parquet"
    )
    if media is not None:
        media.write_parquet(folder / "media.parquet")
    return folder


def source_of(folder: Path) -> MediaSource:
    source = Catalogue.of(Dataset.load(folder)).media
    assert source is not None
    return source


def contents(source: MediaSource, modality: str = "image") -> list[tuple[str, int, bytes]]:
    entries = source.entries(modality)  # type: ignore[arg-type]
    return [(entry.id, entry.order, raw) for entry, raw in source.read(entries)]


@pytest.mark.parametrize("kept", ["memory", "table"])
def test_rows_become_the_frames_of_their_items(tmp_path: Path, kept: str) -> None:
    if kept == "memory":
        source = Catalogue.of(data_set(["a", "b", "c"], media=frame())).media
        assert source is not None
    else:
        source = source_of(written(tmp_path, frame()))
    assert contents(source) == [("b", 0, b"b0"), ("a", 0, b"a0"), ("b", 1, b"b1")]
    assert contents(source, "audio") == [("b", 0, b"sound")]
    assert source.entries("text") == []
    assert [(entry.item, entry.format) for entry in source.entries("image")] == [(1, "png"), (0, "jpeg"), (1, "png")]
    assert source.strangers == {"image": 1}
    assert source.unread == {"video": 1}
    assert source.left_out == []


def test_a_row_without_bytes_costs_itself(tmp_path: Path) -> None:
    rows = frame([("a", "image", "png", None), ("a", "image", "png", b"a")])
    in_memory = Catalogue.of(data_set(["a"], media=rows)).media
    assert in_memory is not None
    assert contents(in_memory) == [("a", 0, b"a")]
    assert [(line.item, line.reason) for line in in_memory.left_out] == [("a", "has no bytes")]
    # In a table only reading tells, and a decoder refuses what is empty.
    assert contents(source_of(written(tmp_path, rows))) == [("a", 0, b""), ("a", 1, b"a")]


def test_a_table_without_formats_is_read(tmp_path: Path) -> None:
    source = source_of(written(tmp_path, frame().drop("format")))
    assert {entry.format for entry in source.entries("image")} == {""}


@pytest.mark.parametrize("group", [1, 3, 7, 1_000])
def test_any_rows_are_read_from_any_row_groups(tmp_path: Path, group: int) -> None:
    number = 40
    rows = frame([("a", "image", "png", str(row).encode() * (row % 5)) for row in range(number)])
    rows.write_parquet(tmp_path / "media.parquet", row_group_size=group)
    place = ParquetPlace(tmp_path / "media.parquet")
    random = np.random.default_rng(group)
    for _ in range(3):
        wanted = sorted(random.choice(number, random.integers(0, number), replace=False).tolist())
        assert list(place.read(wanted, 8_000_000)) == [(row, str(row).encode() * (row % 5)) for row in wanted]


def test_a_row_group_of_many_bytes_is_not_held_in_memory(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    random = np.random.default_rng(0)
    rows = frame([("a", "image", "png", random.bytes(1_000_000)) for _ in range(120)])
    # One row group in pages of one row each.
    pages = {"data_page_size": 1_000, "write_batch_size": 1, "use_dictionary": False, "compression": "none"}
    pytest.importorskip("pyarrow.parquet").write_table(rows.to_arrow(), tmp_path / "media.parquet", **pages)
    del rows
    before, most = pa.total_allocated_bytes(), 0
    for _, raw in cells(str(tmp_path / "media.parquet"), "bytes", range(120)):
        assert len(raw) == 1_000_000
        most = max(most, pa.total_allocated_bytes() - before)
    assert 0 < most < 50_000_000


_READ = """
import resource, sys
from pathlib import Path
from dynmm.catalogue.parquetplace import ParquetPlace
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for row, raw in ParquetPlace(Path(sys.argv[1]), int(sys.argv[2])).read(range(3), 8_000_000):
    print(row, raw if isinstance(raw, bytes) else str(raw))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("memory_mb", "words"), [(2048, "has 200 MB; at most 8 MB are read"), (600, "takes more than 600 MB to unpack")]
)
def test_a_cell_that_unpacks_to_much_costs_itself(tmp_path: Path, memory_mb: int, words: str) -> None:
    """Some kilobytes on disk. What the reading process cannot hold takes its row group along, and no more."""
    pytest.importorskip("pyarrow")
    table = tmp_path / "media.parquet"
    rows = frame(
        [("a", "image", "png", b"small"), ("b", "image", "png", bytes(200_000_000)), ("c", "image", "png", b"last")]
    )
    rows.write_parquet(table, row_group_size=1, compression="zstd")
    del rows
    assert table.stat().st_size < 2_000_000
    told = subprocess.run(
        [sys.executable, "-c", _READ, str(table), str(memory_mb)], capture_output=True, text=True, check=True
    )
    first, refused, last, grown = told.stdout.splitlines()
    assert (first, last) == ("0 b'small'", "2 b'last'")
    assert words in refused
    assert int(grown) < 100_000  # kilobytes


def test_folders_that_nobody_reads_are_told(tmp_path: Path) -> None:
    for name in ("image", "pictures", ".hidden"):
        (tmp_path / "media" / name).mkdir(parents=True)
    assert media_strays(tmp_path) == [
        "media/pictures is not read: pictures lie in media/image and sounds in media/audio"
    ]
    assert media_strays(tmp_path / "nowhere") == []


def test_files_beside_the_tables_are_found_by_their_names(tmp_path: Path) -> None:
    folder = written(tmp_path)
    for name in ("image/a.jpg", "image/b/2.png", "image/b/10.png", "image/.hidden", "image/who.png", "audio/a.ogg"):
        path = folder / "media" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    data = Dataset.load(folder)
    assert data.media is not None
    assert data.media.rows() == [("a", "audio"), ("a", "image"), ("b", "image"), ("who", "image")]
    source = source_of(folder)
    assert contents(source) == [("a", 0, b"image/a.jpg"), ("b", 0, b"image/b/10.png"), ("b", 1, b"image/b/2.png")]
    assert contents(source, "audio") == [("a", 0, b"audio/a.ogg")]
    assert source.strangers == {"image": 1}
    assert [(entry.format, entry.size) for entry in source.entries("audio")] == [("ogg", 11)]


def test_frames_of_a_table_come_before_those_of_files(tmp_path: Path) -> None:
    folder = written(tmp_path, frame([("a", "image", "png", b"table")]))
    (folder / "media" / "image").mkdir(parents=True)
    (folder / "media" / "image" / "a.png").write_bytes(b"file")
    assert contents(source_of(folder)) == [("a", 0, b"table"), ("a", 1, b"file")]


def listing(folder: Path, *paths: str | None) -> pl.DataFrame:
    return pl.DataFrame({"item_id": ["a"] * len(paths), "modality": ["image"] * len(paths), "path": list(paths)})


def test_a_path_that_leads_out_of_the_data_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = tmp_path / "data"
    absolute = str(tmp_path / "secret.png")
    paths = ["pictures/a.png", "../secret.png", absolute, "pictures/link.png", "gone.png", "", None, "pictures"]
    written(folder, listing(folder, *paths))
    (folder / "pictures").mkdir()
    (folder / "pictures" / "a.png").write_bytes(b"a")
    os.symlink(tmp_path / "secret.png", folder / "pictures" / "link.png")
    source = source_of(folder)
    assert contents(source) == [("a", 0, b"a")]
    assert [line.reason for line in source.left_out] == [
        "lies outside the data folder (../secret.png)",
        f"lies outside the data folder ({absolute})",
        "lies outside the data folder (pictures/link.png)",
        "cannot be read (No such file or directory: gone.png)",
        "has no path to a file",
        "has no path to a file",
        "is no plain file (pictures)",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_not_opened(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (folder / "media" / "image").mkdir(parents=True)
    os.mkfifo(folder / "media" / "image" / "a.png")
    source = source_of(folder)
    assert contents(source) == []
    assert [(line.item, line.reason) for line in source.left_out] == [("a", "is no plain file (image/a.png)")]


@pytest.mark.parametrize("listed", [False, True])
def test_what_a_file_is_does_not_hang_on_its_name(tmp_path: Path, listed: bool) -> None:
    pytest.importorskip("PIL")
    files = {"a": "a.jfif", "b": "b", "c": "c.txt"}
    rows = pl.DataFrame(
        {
            "item_id": [*files],
            "modality": "image",
            "format": "png",
            "path": [f"media/image/{one}" for one in files.values()],
        }
    )
    folder = written(tmp_path, rows if listed else None)
    (folder / "media" / "image").mkdir(parents=True)
    for item, name in files.items():
        (folder / "media" / "image" / name).write_bytes(b"hello" if item == "c" else picture_file(pixels=scene()))
    if listed:
        os.rename(folder / "media", folder / "elsewhere")
        rows.with_columns(pl.col("path").str.replace("media", "elsewhere")).write_parquet(folder / "media.parquet")
    settings = EncoderSettings(text="off", image="visual", audio="off")
    (seen,) = encode_catalogue(Catalogue.of(Dataset.load(folder)), settings, cache=tmp_path / "cache")
    assert seen.present.tolist() == [True, True, False]
    assert [line.item for line in seen.left_out] == ["c"]
    assert "begins with b'hello', which is none of jpeg, png, webp" in seen.left_out[0].reason
    assert list(seen.notes) == []


def test_large_and_vanished_files_are_passed_over(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (folder / "media" / "image").mkdir(parents=True)
    for item, size in (("a", 10), ("b", 2_000), ("c", 20)):
        (folder / "media" / "image" / f"{item}.png").write_bytes(bytes(size))
    source = source_of(folder)
    entries = source.entries("image")
    (folder / "media" / "image" / "a.png").unlink()
    for _ in range(2):
        assert [entry.id for entry, _ in source.read(entries, max_bytes=1_000)] == ["c"]
    assert {(line.item, line.reason) for line in source.left_out} == {
        ("a", "cannot be read (No such file or directory)"),
        ("b", "has 0.002 MB; at most 0.001 MB are read"),
    }
    assert len(source.left_out) == 2


def bad_tables() -> dict[str, tuple[pl.DataFrame, str]]:
    return {
        "text": (frame().with_columns(bytes=pl.lit("x")), "is no binary column"),
        "both": (frame().with_columns(path=pl.lit("x")), "keep one of them"),
        "neither": (frame().drop("bytes"), "column 'bytes' is missing"),
        "numbers": (frame().drop("bytes").with_columns(path=pl.lit(1)), "is no text"),
    }


@pytest.mark.parametrize("name", ["item_id", "modality", "format"])
@pytest.mark.parametrize("kept", ["memory", "table", "files"])
@pytest.mark.parametrize("kind", ["lists", "structs", "bytes that are no text"])
def test_labels_that_are_no_text_are_one_error(tmp_path: Path, name: str, kept: str, kind: str) -> None:
    odd = {
        "lists": pl.Series(name, [["a"]] * 6),
        "structs": pl.Series(name, [{"a": 1}] * 6),
        "bytes that are no text": pl.Series(name, [b"a"] * 5 + [b"\xff"]),
    }
    table = frame().with_columns(odd[kind])
    if kept == "files":
        table = table.drop("bytes").with_columns(path=pl.lit("a.png"))
    with pytest.raises(DataError, match=f"column '{name}': .* is no text.*; write it as strings"):
        if kept == "memory":
            Catalogue.from_frames({"item_id": ["a"]}, table)
        else:
            Catalogue.of(Dataset.load(written(tmp_path, table)))


def test_bytes_that_are_text_are_labels(tmp_path: Path) -> None:
    """As some writers of parquet leave them."""
    table = frame().with_columns(pl.col("item_id", "modality", "format").cast(pl.Binary))
    assert contents(source_of(written(tmp_path, table))) == [("b", 0, b"b0"), ("a", 0, b"a0"), ("b", 1, b"b1")]


@pytest.mark.parametrize("kind", bad_tables())
def test_a_table_that_is_none_of_media_is_one_error(tmp_path: Path, kind: str) -> None:
    table, message = bad_tables()[kind]
    data = Dataset.load(written(tmp_path, table))
    with pytest.raises(DataError, match=message):
        Catalogue.of(data)


def test_a_damaged_table_is_one_error(tmp_path: Path) -> None:
    rows = frame([("a", "image", "png", bytes(np.random.default_rng(0).bytes(50_000))) for _ in range(20)])
    folder = written(tmp_path, rows)
    source = source_of(folder)
    raw = bytearray((folder / "media.parquet").read_bytes())
    raw[1_000:200_000] = bytes(199_000)
    (folder / "media.parquet").write_bytes(raw)
    with pytest.raises(DataError, match=r"media\.parquet cannot be read"):
        contents(source)


@pytest.mark.parametrize("bad", [["text"], [1]])
def test_bytes_in_memory_must_be_bytes(bad: list[object]) -> None:
    media = pl.DataFrame({"item_id": ["a"], "modality": ["image"], "bytes": bad})
    with pytest.raises(DataError, match="is no binary column"):
        data_set(["a"], media=media)


def test_media_in_memory_may_come_as_any_table() -> None:
    pandas = pytest.importorskip("pandas")
    rows = [dict(zip(("item_id", "modality", "format", "bytes"), row, strict=True)) for row in ROWS]
    makers: list[Callable[[], object]] = [lambda: rows, lambda: pandas.DataFrame(rows), lambda: frame().to_arrow()]
    for make in makers:
        source = Catalogue.of(data_set(["a", "b"], media=make())).media
        assert source is not None
        assert contents(source) == [("b", 0, b"b0"), ("a", 0, b"a0"), ("b", 1, b"b1")]
