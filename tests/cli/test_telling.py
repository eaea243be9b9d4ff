"""What the commands say of the words of reasons, beside the reasons."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.made import dynmm, write_run

from dynmm.cli.telling import writing_line
from dynmm.language.writing import WritingReport


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("told"))


def test_how_many_reasons_the_model_worded_is_one_line() -> None:
    line = writing_line(WritingReport(1, {"not verified": 2}))
    assert line is not None
    assert line == "1 of 3 reasons are in the language model's words; plain words stand for the others (2 not verified)"
    assert writing_line(None) is None


@pytest.mark.parametrize("command", [("recommend", "--explain"), ("explain", "--item", "i20")])
def test_where_there_is_no_reason_to_word_nothing_is_said(
    run: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    for report, told in ((WritingReport(2, {}), True), (WritingReport(0, {}), False)):
        monkeypatch.setattr("dynmm.assembly.writing_of", lambda _, report=report: report)
        result = dynmm(command[0], run, "--user", "u3", *command[1:])
        assert result.exit_code == 0, result.output
        assert ("language model's words" in result.stderr) == told
        assert "None" not in result.stderr
