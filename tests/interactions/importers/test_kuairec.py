"""KuaiRec's matrices, captions and categories, made up for the test in its own columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynmm.errors import DataError
from dynmm.interactions.importers.kuairec import import_kuairec

HEADER = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
BIG = (
    HEADER
    + "0,3649,13838,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,1.2733965\n"
    + "0,9598,13665,10984,2020-07-05 00:13:41.297,20200705,1593879221.297,1.2440823\n"
)
SMALL = (
    HEADER
    + "14,148,4381,6067,2020-07-05 05:27:48.378,20200705.0,1593898068.378,0.7221032\n14,183,11635,6100,,,,1.9073770\n"
)


def folder(path: Path) -> Path:
    data = path / "data"
    data.mkdir(parents=True)
    (data / "big_matrix.csv").write_text(BIG)
    (data / "small_matrix.csv").write_text(SMALL)
    (data / "item_categories.csv").write_text('video_id,feat\n3649,[8]\n9598,"[27, 9]"\n')
    (data / "user_features.csv").write_text("user_id,user_active_degree,is_lowactive_period\n0,high_active,0\n")
    return path


def test_big_matrix_with_numbered_categories(tmp_path: Path) -> None:
    imported = import_kuairec(folder(tmp_path))
    assert (imported.info.name, imported.info.noun, imported.info.verb) == ("kuairec-big", "video", "watched")
    assert imported.info.time_resolution == "second"
    assert imported.interactions.row(0)[:3] == ("0", "3649", 1593878903438)
    assert imported.interactions["rating"].to_list() == pytest.approx([1.2733965, 1.2440823])
    assert imported.items is not None
    assert imported.items.rows() == [("3649", ["category 8"]), ("9598", ["category 27", "category 9"])]
    assert imported.users is not None
    assert imported.users.row(0) == ("0", "high_active", "0")


def test_captions_name_the_categories(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "data" / "kuairec_caption_category.csv").write_text(
        "video_id,manual_cover_text,caption,topic_tag,first_level_category_id,first_level_category_name,"
        "second_level_category_id,second_level_category_name,third_level_category_id,third_level_category_name\n"
        '3649,UNKNOWN,"Tea, slowly\nmade","[tea,slow]",8,Food,124,Tea,-124,UNKNOWN\n'
        "7000,Cover,,[],-124,UNKNOWN,-124,UNKNOWN,-124,UNKNOWN\n"
    )
    items = import_kuairec(tmp_path).items
    assert items is not None
    rows = {row["item_id"]: row for row in items.to_dicts()}
    assert rows["3649"] == {
        "item_id": "3649",
        "title": "Tea, slowly\nmade",
        "description": None,
        "categories": ["Food", "Tea"],
        "topics": ["tea", "slow"],
    }
    assert rows["7000"]["description"] == "Cover"
    assert rows["7000"]["categories"] is None
    assert rows["9598"]["categories"] == ["category 27", "category 9"]


def test_rows_without_timestamp_are_kept_or_counted(tmp_path: Path) -> None:
    kept = import_kuairec(folder(tmp_path), matrix="small")
    assert kept.info.time_resolution == "partial"
    assert kept.interactions["timestamp"].to_list() == [1593898068378, None]
    assert "1 rows have no timestamp" in kept.info.notes
    dropped = import_kuairec(tmp_path, matrix="small", drop_undated=True)
    assert dropped.info.time_resolution == "second"
    assert dropped.left_out == {"without timestamp": 1}


def test_malformed_rows(tmp_path: Path) -> None:
    (tmp_path / "big_matrix.csv").write_text(BIG + "1,2,3,4,x,20200705,soon,1.0\n1,2,3,4,x,20200705,1593879221.2,\n")
    with pytest.raises(DataError, match=r"big_matrix.csv, line 4, column 'timestamp': 'soon' is not a time in s"):
        import_kuairec(tmp_path)
    imported = import_kuairec(tmp_path, skip_bad=True)
    assert imported.interactions.height == 2
    assert imported.left_out == {"timestamp is not a time in s between 1971 and 2200": 1, "rating missing": 1}


def test_a_missing_matrix(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no small_matrix.csv"):
        import_kuairec(tmp_path, matrix="small")
