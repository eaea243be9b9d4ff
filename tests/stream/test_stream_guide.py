"""The guide says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dynmm.stream.table import TABLE

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "stream.md").read_text(encoding="utf-8")


def test_the_python_of_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/guides/stream.md", "exec"), {})


def test_the_table_of_logs_is_that_of_the_program() -> None:
    written = re.search(r"<!-- logs -->\n[^\n]*\n\|---[^\n]*\n(.*)\n<!-- /logs -->", GUIDE, re.DOTALL)
    assert written is not None
    shown = [
        f"| `{name}:{one.where}` | {one.about} | {one.needs} | {'yes' if one.forgets else 'no'} |"
        for name, one in TABLE.items()
    ]
    assert written[1].splitlines() == shown
