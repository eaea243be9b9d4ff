"""Data sets are found by folder, or by name under DYNMM_DATA."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynmm.testing.folders import data_folder, data_folders


def test_a_folder_goes_before_a_name_and_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("here/films", "there/films", "there/songs"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "interactions.parquet").touch()
    (tmp_path / "here/songs").mkdir()
    monkeypatch.setenv("DYNMM_DATA", str(tmp_path / "there"))
    monkeypatch.chdir(tmp_path / "here")
    assert data_folder("films") == Path("films")
    # A folder without events is no data set.
    assert data_folder("songs") == tmp_path / "there/songs"
    assert list(data_folders(["nothing", "films"])) == [Path("films")]
    assert capsys.readouterr().err == "nothing: left out, DYNMM_DATA does not lead to it\n"
    monkeypatch.delenv("DYNMM_DATA")
    assert data_folder("songs") is None
