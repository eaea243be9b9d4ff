"""What holds for every kind of source: the table, its options, and the folder that comes out."""

from __future__ import annotations

import inspect
from pathlib import Path

import polars as pl
import pytest

from dynmm.errors import ConfigError, DataError, EmptyDataError, StorageError
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.importers import IMPORTERS, import_folder, import_source, importer, options_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text("user,item,ts,rating\nb,1,1700000060,4\na,1,1700000000,5\nb,2,1700000000,3\nb,2,1700000000,3\n")
    return path


@pytest.mark.parametrize("kind", IMPORTERS)
def test_every_importer_has_the_one_shape(kind: str) -> None:
    function = importer(kind)
    assert inspect.getdoc(function)
    parameters = inspect.signature(function).parameters
    assert next(iter(parameters)) == "source"
    for name, parameter in list(parameters.items())[1:]:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, name
        assert parameter.default is not inspect.Parameter.empty, name
    assert parameters["skip_bad"].default is False


@pytest.mark.parametrize("kind", IMPORTERS)
def test_every_importer_refuses_a_missing_source(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        importer(kind)(tmp_path / "nowhere")


def test_a_folder_that_loads(log: Path, tmp_path: Path) -> None:
    told: list[str] = []
    report = import_folder("csv", log, tmp_path / "out", noun="song", verb="played", progress=told.append)
    assert (report.users, report.items, report.interactions) == (2, 2, 3)
    assert report.left_out == {"events that repeat an earlier one": 1}
    assert len(told) == 2

    dataset = Dataset.load(tmp_path / "out")
    assert (dataset.info.noun, dataset.info.verb, dataset.info.time_resolution) == ("song", "played", "second")
    history = dataset.history(dataset.users.encode("b"))
    assert [dataset.items.decode(item) for item in history.items] == ["2", "1"]
    assert history.timestamps is not None
    assert history.timestamps.tolist() == [1700000000000, 1700000060000]


def test_the_same_source_gives_the_same_bytes(log: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        import_folder("csv", log, tmp_path / name, name="log")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["dataset.json", "interactions.parquet"]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_an_existing_folder_is_kept(log: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    dest.mkdir()
    (dest / "precious.txt").write_text("keep me")
    with pytest.raises(StorageError, match="--overwrite"):
        import_folder("csv", log, dest)
    with pytest.raises(StorageError, match="not a data set folder"):
        import_folder("csv", log, dest, overwrite=True)
    assert (dest / "precious.txt").read_text() == "keep me"


def test_overwriting_replaces_a_data_set_and_never_the_source(log: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    import_folder("csv", log, dest)
    with pytest.raises(StorageError, match="--overwrite"):
        import_folder("csv", log, dest)
    import_folder("csv", log, dest, overwrite=True, name="again")
    assert '"again"' in (dest / "dataset.json").read_text()
    for own in (log, log.parent):
        with pytest.raises(StorageError, match="not a data set folder"):
            import_folder("csv", log, own, overwrite=True)
    inside = dest / "log.csv"
    inside.write_bytes(log.read_bytes())
    with pytest.raises(StorageError, match="holds the source"):
        import_folder("csv", inside, dest, overwrite=True)
    assert inside.is_file()


def test_nothing_is_written_for_a_bad_source(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,rating\na,1,many\n")
    with pytest.raises(DataError):
        import_folder("csv", path, tmp_path / "out")
    with pytest.raises(EmptyDataError, match="no usable interaction"):
        import_folder("csv", path, tmp_path / "out", skip_bad=True)
    assert [one.name for one in tmp_path.iterdir()] == ["log.csv"]


def test_repeated_items(log: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,title\n1,first\n1,second\n")
    with pytest.raises(DataError, match="'1' stands twice"):
        import_folder("csv", log, tmp_path / "out", items=items)
    report = import_folder("csv", log, tmp_path / "out", items=items, skip_bad=True)
    assert report.left_out["items: repeated rows"] == 1
    assert pl.read_parquet(tmp_path / "out" / "items.parquet")["title"].to_list() == ["first"]


def test_options_that_a_kind_does_not_take(log: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="movielens takes no option 'user'"):
        import_folder("movielens", log, tmp_path / "out", user="u")
    with pytest.raises(ConfigError, match="unknown kind of source 'excel'"):
        import_folder("excel", log, tmp_path / "out")
    assert options_of("kuairec") == ("matrix", "drop_undated")


@pytest.mark.parametrize(("ids", "told"), [(("107", "9", "8", "108"), False), (("107.0", "9.0", "8.0", "108"), True)])
def test_ids_that_hardly_occur_in_the_item_table_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ids: tuple[str, ...], told: bool
) -> None:
    (tmp_path / "log.csv").write_text("user,item\n" + "".join(f"a,{one}\n" for one in ids))
    (tmp_path / "items.csv").write_text("item,title\n107,A\n108,B\n109,C\n")
    import_source("csv", tmp_path / "log.csv", items=tmp_path / "items.csv")
    words = [one.message for one in caplog.records if "item table" in one.message]
    assert len(words) == told
    if told:
        assert "3 of 4 items" in words[0]
        assert "'107.0'" in words[0]
        assert "'107'" in words[0]
