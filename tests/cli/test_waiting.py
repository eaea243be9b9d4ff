"""How long threads of a command wait for one another before they sleep."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dynmm.cli import main


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "30000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_threads_that_wait_soon_sleep_unless_somebody_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], spins: str | None
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    # What is set by a command does not outlive the test.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    assert CliRunner().invoke(main, ["config", "rerank"]).exit_code == 0
    assert os.environ.get("GOMP_SPINCOUNT") == spins


def test_the_command_line_is_there_before_what_reads_its_environment() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import sys, dynmm.cli; print('torch' in sys.modules)"], capture_output=True, text=True
    )
    assert found.stdout.strip() == "False", found.stderr
