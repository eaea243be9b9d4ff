"""The guide of this stage against the program: imports, keys and values that it names exist."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from dynmm.config import Config
from dynmm.language.serving import Reason
from dynmm.language.table import TABLE

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "language.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def test_the_guide_shows_code() -> None:
    assert len(SNIPPETS) == 2


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_what_the_guide_imports_is_there(snippet: str) -> None:
    imports = [node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = importlib.import_module(node.module or "")
        assert [one.name for one in node.names if not hasattr(module, one.name)] == []


def test_every_key_in_the_guide_is_one() -> None:
    named = re.findall(r"`(?:--set )?(language|reranking)\.([a-z_]+)", GUIDE)
    named += re.findall(r"--set (language|reranking)\.([a-z_]+)=", GUIDE)
    assert len(named) > 10
    assert {f"{section}.{key}" for section, key in named if key not in SECTIONS[section].model_fields} == set()


def test_every_value_in_the_guide_is_accepted() -> None:
    given = re.findall(r"(?:--set |`)(language|reranking)\.([a-z_]+)=([^\s`]+)", GUIDE)
    assert given
    for section, key, value in given:
        SECTIONS[section].model_validate({key: value})
    for choice in re.findall(r"--set rerank=(\w+)", GUIDE):
        assert Config.model_validate({"rerank": choice}).rerank == choice


def test_every_reason_to_fall_back_is_told() -> None:
    (line,) = (line for line in GUIDE.splitlines() if line.startswith("refined.degraded"))
    assert all(reason in line for reason in get_args(Reason))


def test_what_the_kinds_learn_from_is_told_as_it_is() -> None:
    config = Config()
    asked = (
        f"up to `reranking.epochs` passes ({config.reranking.epochs})",
        f"at most `language.questions` ({config.language.questions:,})",
        f"`language.drawn` candidates ({config.language.drawn})",
        f"`language.epochs` ({config.language.epochs})",
    )
    assert [one for one in asked if one not in GUIDE] == []
    assert {kind: entry.relative for kind, entry in TABLE.items()} == {
        "language": False,
        "mlp": True,
        "transformer": True,
    }
    assert "the same inputs" not in GUIDE


def test_figures_of_injections_are_those_of_the_file() -> None:
    (told,) = json.loads(Path("benchmarks/results/injections.json").read_bytes())["data"].values()
    listwise, branch, items = (*(told["candidates"][one] for one in ("listwise", "branch")), told["items"])
    moved = listwise["others"]
    for text in (
        f"{told['texts']:,} injected titles and descriptions",
        f"in `branch` no other candidate moved ({branch['others']['compared']:,} compared)",
        f"{moved['moved']:,} of {moved['compared']:,} moved, by up to {moved['largest_shift']} ranks",
        f"no other item moved ({items['others']['compared']:,} compared)",
        f"{told['sentences']['accepted']} were the model's",
    ):
        assert text in GUIDE
    assert branch["others"]["moved"] == items["others"]["moved"] == 0
