"""Weights are data: they come from a folder or the hub, and nothing that could run is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynmm.encoders.pretrained import weights_folder, weights_hash
from dynmm.errors import ConfigError


def _model(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


class _Hub:
    """A hub with these models; `kept` are in its local copy already."""

    def __init__(self, online: dict[str, Path] | None = None, kept: dict[str, Path] | None = None) -> None:
        self._online, self._kept = online or {}, kept or {}
        self.asked: list[tuple[str, bool]] = []

    def snapshot_download(self, name: str, *, allow_patterns: list[str], local_files_only: bool = False) -> str:
        assert not any(pattern.endswith((".py", ".bin")) for pattern in allow_patterns)
        self.asked.append((name, local_files_only))
        there = self._kept if local_files_only else self._online
        if name not in there:
            raise OSError("the network is unreachable")
        return str(there[name])


def _use(hub: _Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest.importorskip("huggingface_hub"), "snapshot_download", hub.snapshot_download)


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = _model(tmp_path, "model.safetensors", "config.json")
    assert weights_folder(str(folder), extra="text") == folder


@pytest.mark.parametrize("name", ["/no/such/folder", "./none", "~/nothing-of-that-name", "a/b/c", ""])
def test_a_path_that_is_none_is_never_asked_of_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = _Hub()
    _use(hub, monkeypatch)
    with pytest.raises(ConfigError, match="no folder"):
        weights_folder(name, extra="text")
    assert hub.asked == []


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"only pytorch_model\.bin, which could run code.*safetensors"):
        weights_folder(_model(tmp_path / "one", "pytorch_model.bin", "config.json"), extra="text")
    with pytest.raises(ConfigError, match=r"no weights in the safetensors format \(none\)"):
        weights_folder(_model(tmp_path / "two", "config.json"), extra="text")
    mixed = _model(tmp_path / "three", "model.safetensors", "2_Dense/pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"2_Dense/pytorch_model\.bin could run code"):
        weights_folder(mixed, extra="text")


def test_the_local_copy_goes_before_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(tmp_path / "whole", "model.safetensors")
    hub = _Hub(kept={"someone/model": model})
    _use(hub, monkeypatch)
    assert weights_folder("someone/model", extra="text") == model
    assert hub.asked == [("someone/model", True)]


def test_a_copy_without_weights_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(tmp_path / "whole", "model.safetensors")
    hub = _Hub(online={"someone/model": model}, kept={"someone/model": _model(tmp_path / "part", "config.json")})
    _use(hub, monkeypatch)
    assert weights_folder("someone/model", extra="text") == model
    assert hub.asked == [("someone/model", True), ("someone/model", False)]


def test_without_a_network_the_error_says_what_does_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(_Hub(), monkeypatch)
    with pytest.raises(ConfigError, match=r"the network is unreachable\); give the path of a folder.*, or use words"):
        weights_folder("someone/model", extra="text", offline="use words")


def test_the_hash_follows_what_decides_the_vectors(tmp_path: Path) -> None:
    one = _model(tmp_path / "one", "model.safetensors", "config.json", "1_Pooling/config.json", "README.md")
    two = _model(tmp_path / "two", "model.safetensors", "config.json", "1_Pooling/config.json")
    assert weights_hash(one) == weights_hash(two)
    (two / "1_Pooling" / "config.json").write_text("changed")
    assert weights_hash(one) != weights_hash(two)
