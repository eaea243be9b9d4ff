"""The guide to texts, pictures and sounds against the program: its table, its encoder, its Python."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.worlds import QUICK

from dynmm import Dataset
from dynmm.assembly import FitOptions, fit
from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import IMAGE, MODALITIES
from dynmm.encoders import table
from dynmm.encoders.precomputed import OTHER_WORDS
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.encoders.table import TABLE, Choice, Entry, create
from dynmm.simulation import PictureConfig, WorldConfig, simulate

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "senses.md"
WORLD = WorldConfig(users=40, items=40, events=800, categories=4, pictures=PictureConfig(size=24))


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def block(containing: str) -> str:
    (found,) = [one for one in python_blocks() if containing in one]
    return found


def encoders_table() -> str:
    """What the guide's table has to say."""
    rows = [
        f"| {modality} | `{_written(name, entry)}` | {entry.about} | {_needs(entry)} |"
        for modality in MODALITIES
        for name, entry in TABLE.items()
        if entry.modality == modality
    ]
    return "\n".join(["| for | name | what it is | needs |", "|---|---|---|---|", *rows])


def _written(name: str, entry: Entry) -> str:
    return name if entry.source is None else f"{name}:{entry.source}"


def _needs(entry: Entry) -> str:
    return re.sub(r"dynmm(\[[^]]*\])", r"`.\1`", entry.needs)


def test_the_guide_names_every_word_that_feature_files_begin_with() -> None:
    told = GUIDE.read_text(encoding="utf-8")
    assert [word for word in OTHER_WORDS if f"`{word}`" not in told] == []


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The guide's encoder as a file that can be imported."""
    path = tmp_path / "colours.py"
    path.write_text(block("class Deciles"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    sys.modules.pop("colours", None)


def test_the_table_of_encoders_is_that_of_the_program() -> None:
    told = GUIDE.read_text(encoding="utf-8").split("<!-- encoders -->")[1].split("<!-- /encoders -->")[0].strip()
    assert told == encoders_table()


def test_the_encoder_of_the_guide_passes_the_contract(colours: Path) -> None:
    exec(compile(block("check_encoder"), str(GUIDE), "exec"), {})


def test_the_encoder_of_the_guide_runs_by_its_name(colours: Path, tmp_path: Path) -> None:
    catalogue = Catalogue.of(simulate(WORLD, 1).dataset())
    settings = EncoderSettings(text="off", image="colours:Deciles")
    (features,) = encode_catalogue(catalogue, settings, cache=tmp_path)
    assert features.vectors.shape == (40, 9)
    assert features.present.all()
    assert features.attributes is not None
    assert features.attributes.names == ("reddish",)


def test_the_line_of_the_guide_is_a_line_of_the_table(colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = block('"deciles": Entry(')
    (added,) = eval("{" + line + "}", {"Entry": Entry, "IMAGE": IMAGE, "_HERE": ""}).items()
    name, entry = added
    # In the package the file lies beside the others; here it is wherever the test put it.
    monkeypatch.setitem(table.TABLE, name, Entry(entry.path.lstrip("."), *_rest(entry)))
    assert create(IMAGE, Choice(name)).identity == "colour-deciles-1"


def _rest(entry: Entry) -> tuple[Any, ...]:
    return entry.modality, entry.about, entry.needs, entry.source, entry.arguments


@pytest.mark.slow
def test_the_python_of_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DYNMM_CACHE", str(tmp_path / "cache"))
    simulate(WORLD, 1).write("data/senses")
    options = FitOptions("cpu")
    config = {**QUICK, "evidence": {"variant": "off"}}
    fit("data/senses", config, split="full", options=options).recommender.save_pretrained("runs/senses")
    names: dict[str, Any] = {}
    for code in (block("add_items("), block("similar(")):
        exec(compile(code, str(GUIDE), "exec"), names)
    assert "new-1" in names["recommender"].items
    exec(compile(block("write_parquet("), str(GUIDE), "exec"), {})
    settings = EncoderSettings(text="off", audio="off")
    (features,) = encode_catalogue(Catalogue.of(Dataset.load("data/senses")), settings, cache=tmp_path)
    assert features.encoder == "precomputed:posters"
    assert features.present.sum() == 2
