"""What the bars of a fit show."""

from __future__ import annotations

import click
import pytest

from dynmm.cli.progress import CountBar, EpochBar


def test_each_modality_has_a_bar_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with click.Context(click.Command("fit")), EpochBar() as bar:
        bar.stage("encoding")
        bar.encoding("text", 128, 300)
        bar.encoding("text", 300, 300)
        bar.encoding("image", 32, 4_000)
        bar.encoding("image", 1_200, 4_000)
        bar.stage("backbone")
    told = capsys.readouterr().err
    assert "encoding text: 300 of 300" in told
    assert "encoding image: 1,200 of 4,000" in told
    assert "epochs" not in told


def test_a_bar_over_events_writes_little_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with click.Context(click.Command("stream")), CountBar() as bar:
        for done in range(0, 20_001, 2):
            bar("dynmm", done, 20_000)
    told = capsys.readouterr().err
    assert "dynmm: 100%" in told
    assert told.count("dynmm:") <= 3
