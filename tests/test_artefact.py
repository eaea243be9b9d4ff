"""A changed byte is refused by name; a later format names itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynmm.artefact import MANIFEST, open_sealed, seal
from dynmm.errors import ArtefactError, NewerArtefact, TamperedArtefact


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(range(256)))
    (folder / "sub" / "more").write_text("text")
    seal(folder, {"dynmm": "0.1.0", "seeds": [1]})
    return folder


def test_what_was_sealed_opens(sealed: Path) -> None:
    facts = open_sealed(sealed)
    assert facts["seeds"] == [1]
    assert sorted(facts["files"]) == ["sub/more", "weights"]


@pytest.mark.parametrize("place", [0, 100, 255])
def test_every_changed_byte_is_named(sealed: Path, place: int) -> None:
    content = bytearray((sealed / "weights").read_bytes())
    content[place] ^= 1
    (sealed / "weights").write_bytes(content)
    with pytest.raises(TamperedArtefact, match="weights was changed or cut short"):
        open_sealed(sealed)


def test_a_truncated_file_is_named(sealed: Path) -> None:
    (sealed / "weights").write_bytes(b"short")
    with pytest.raises(TamperedArtefact, match="weights was changed or cut short"):
        open_sealed(sealed)


def test_a_missing_file_is_named(sealed: Path) -> None:
    (sealed / "sub" / "more").unlink()
    with pytest.raises(TamperedArtefact, match="sub/more is missing"):
        open_sealed(sealed)


def test_an_extra_file_is_named(sealed: Path) -> None:
    (sealed / "extra").write_text("")
    with pytest.raises(TamperedArtefact, match="extra does not belong"):
        open_sealed(sealed)


def test_what_a_hub_adds_is_not_the_runs(sealed: Path) -> None:
    (sealed / ".gitattributes").write_text("*.safetensors filter=lfs")
    assert sorted(open_sealed(sealed)["files"]) == ["sub/more", "weights"]


def test_every_changed_byte_of_the_manifest_is_refused(sealed: Path) -> None:
    original = (sealed / MANIFEST).read_bytes()
    for place in range(len(original)):
        changed = bytearray(original)
        changed[place] ^= 1
        (sealed / MANIFEST).write_bytes(changed)
        with pytest.raises(ArtefactError):
            open_sealed(sealed)


def test_a_manifest_cut_anywhere_is_refused(sealed: Path) -> None:
    original = (sealed / MANIFEST).read_bytes()
    for length in range(len(original)):
        (sealed / MANIFEST).write_bytes(original[:length])
        with pytest.raises(TamperedArtefact):
            open_sealed(sealed)


def test_a_newer_format_names_the_version_needed(sealed: Path) -> None:
    content = json.loads((sealed / MANIFEST).read_text())
    content |= {"format": 99, "dynmm": "9.0.0"}
    (sealed / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(NewerArtefact, match=r"dynmm 9\.0\.0.*upgrade"):
        open_sealed(sealed)


def test_a_folder_without_manifest_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="not a dynmm run"):
        open_sealed(tmp_path)
