"""The joint stage on disk: the same bits back, and what is damaged is refused."""

from __future__ import annotations

import copy
import functools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fusion.made import JOINT, SMALL, base, history, joined, lacking, places, rings

from dynmm.backbone.pretraining import pretrain
from dynmm.backbone.system import Backbone
from dynmm.catalogue.features import Attributes, Features, LeftOut
from dynmm.errors import ArtefactError
from dynmm.fusion.joint import Joint
from dynmm.fusion.keeping import load_features, load_joint, save_features, save_joint
from dynmm.fusion.settings import FusionSettings
from dynmm.fusion.system import JointSystem
from dynmm.fusion.trust import Explained
from dynmm.system import Query


def _content() -> list[Features]:
    words = np.random.default_rng(0).random((32, 2)).astype(np.float32)
    words[3] = np.nan
    image = replace(
        lacking(places("image", 32, seed=1), [31]),
        attributes=Attributes(("dark", "red"), words),
        left_out=(LeftOut("i31", "image", "is a zip bomb"),),
    )
    return [lacking(places(n_items=32), [4, 31]), image]


@functools.cache
def _joint(variant: str = "joint") -> Joint:
    settings = JOINT if variant == "joint" else FusionSettings(variant="paper", hidden=16, epochs=2, patience=2)
    return Joint(joined(_content(), settings))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joint") / "joint"
    save_joint(_joint(), folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "joint"))


def test_what_senses_say_of_new_items_is_kept_with_the_trust_that_follows(tmp_path: Path) -> None:
    told = Explained((0.4, 0.1), 0.45)
    joined = replace(_joint().joined, explained=told, model=copy.deepcopy(_joint().joined.model))
    assert joined.model.latents.gate is not None
    joined.model.latents.gate.trust[1:] = told.trust()
    save_joint(Joint(joined), tmp_path)
    found = load_joint(tmp_path, base(n_items=32).tower)
    assert found.joined.explained == told
    assert torch.equal(found.item_vectors, Joint(joined).item_vectors)
    assert torch.equal(found.parts().weights, Joint(joined).parts().weights)
    # Item 30 has both senses, and nobody took it.
    assert not torch.equal(found.parts().weights[30], _joint().parts().weights[30])


@pytest.mark.parametrize("variant", ["joint", "paper"])
def test_what_is_loaded_ranks_to_the_bit_as_what_was_saved(variant: str, tmp_path: Path) -> None:
    joint = _joint(variant)
    save_joint(joint, tmp_path)
    loaded = load_joint(tmp_path, base(n_items=32).tower)
    assert torch.equal(loaded.item_vectors, joint.item_vectors)
    assert loaded.parameter_hash() == joint.parameter_hash()
    queries = [Query(history(1, 2, 3), exclude=np.asarray([1, 2, 3])), Query(history()), Query(history(31, 30))]
    ours, theirs = (JointSystem(lambda _: joint, one).rank(queries, 40) for one in (joint, loaded))
    assert np.array_equal(ours.items, theirs.items)
    assert np.array_equal(ours.scores, theirs.scores)
    assert torch.equal(loaded.guessed_cf(), joint.guessed_cf())
    assert torch.equal(loaded.joined.guesser(loaded.content), joint.joined.guesser(joint.content))
    new = [one.take(np.asarray([5, 31])) for one in joint.features]
    assert torch.equal(loaded.with_items(new).item_vectors, joint.with_items(new).item_vectors)


def test_all_that_was_fitted_is_there(saved: Path) -> None:
    joint, loaded = _joint(), load_joint(saved, base(n_items=32).tower)
    assert loaded.joined.settings == joint.joined.settings
    assert loaded.joined.history == joint.joined.history
    assert loaded.joined.best_epoch == joint.joined.best_epoch
    assert np.array_equal(loaded.joined.counts, joint.joined.counts)
    for ours, theirs in zip(joint.features, loaded.features, strict=True):
        assert (ours.modality, ours.encoder, ours.identity) == (theirs.modality, theirs.encoder, theirs.identity)
        assert np.array_equal(ours.vectors, theirs.vectors)
        assert np.array_equal(ours.present, theirs.present)
        assert np.array_equal(ours.quality, theirs.quality)
        assert list(ours.left_out) == list(theirs.left_out)
    names, values = joint.attributes["image"].names, joint.attributes["image"].values
    assert loaded.attributes["image"].names == names
    assert np.array_equal(loaded.attributes["image"].values, values, equal_nan=True)


def test_added_items_are_not_saved_with_the_fit(saved: Path, tmp_path: Path) -> None:
    larger = _joint().with_items([one.take(np.asarray([5])) for one in _joint().features])
    save_joint(larger, tmp_path)
    assert load_joint(tmp_path, base(n_items=32).tower).n_items == 32
    (tmp_path / "added").mkdir()
    save_features(larger.added, tmp_path / "added")
    back = load_features(tmp_path / "added")
    assert all(np.array_equal(a.vectors, b.vectors) for a, b in zip(larger.added, back, strict=True))


def test_features_take_two_bytes_a_number_unless_that_loses_some(tmp_path: Path) -> None:
    text, image = _joint().features
    wide = replace(image, vectors=image.vectors + np.float32(70_000.123))
    save_features([text, wide], tmp_path)
    sizes = [(tmp_path / f"features-{one}.safetensors").stat().st_size for one in ("text", "image")]
    assert sizes[1] - sizes[0] > 1.9 * image.vectors.size
    for back, given in zip(load_features(tmp_path), (text, wide), strict=True):
        assert back.vectors.dtype == np.float32
        assert np.array_equal(back.vectors, given.vectors)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("encoder", "rest"), [("clip-1", "weights/words"), ("wav2vec2-1", "weights")])
def test_runs_that_named_the_precision_take_new_items(tmp_path: Path, precision: str, encoder: str, rest: str) -> None:
    """Early versions refused new items on a machine that multiplies in another precision than that of the fit."""
    then = [replace(one, identity=f"{encoder}/{precision}/{rest}") for one in _joint().features]
    save_features(then, tmp_path)
    assert {one.identity for one in load_features(tmp_path)} == {f"{encoder}/{rest}"}


def test_the_weights_that_count_are_those_on_disk(saved: Path) -> None:
    """The tower that is passed in gives its shape and nothing else."""
    tower = base(n_items=32).tower
    with torch.no_grad():
        for parameter in tower.parameters():  # type: ignore[attr-defined]
            parameter.fill_(9)
    assert torch.equal(load_joint(saved, tower).item_vectors, _joint().item_vectors)


_FILES = (
    "weights.safetensors",
    "content-to-cf.safetensors",
    "counts.safetensors",
    "standard-text.safetensors",
    "features-image.safetensors",
    "joint.json",
    "features.json",
)


@pytest.mark.parametrize("name", _FILES)
@pytest.mark.parametrize("damage", ["cut", "missing", "empty", "other"])
def test_a_damaged_file_is_refused(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    if damage == "missing":
        path.unlink()
    elif damage == "other":
        path.write_bytes(b'{"a": 1}' + b"\x00" * 40 if name.endswith("safetensors") else b"[1, 2]")
    else:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(ArtefactError, match=r"joint stage in .*joint cannot be read.*copy the run again"):
        load_joint(folder, base(n_items=32).tower)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("joint.json", {"settings": {"variant": "magic"}}),
        ("joint.json", {"scales": [1.0]}),
        ("joint.json", {"history": [{"epoch": 1}]}),
        ("joint.json", {"regressor": {"penalty": 1}}),
        ("features.json", {"features": []}),
        ("features.json", {"features": [{"modality": "text"}]}),
        ("features.json", {"features": [3]}),
    ],
)
def test_a_card_that_says_something_else_is_refused(folder: Path, name: str, change: dict[str, object]) -> None:
    card = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(card | change))
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_joint(folder, base(n_items=32).tower)


def test_what_an_earlier_version_did_not_write_is_named(folder: Path) -> None:
    card = json.loads((folder / "joint.json").read_bytes())
    del card["guesser"]
    (folder / "joint.json").write_text(json.dumps(card))
    with pytest.raises(ArtefactError, match=r"it has no 'guesser', as where an earlier version wrote it; .* fit it"):
        load_joint(folder, base(n_items=32).tower)


def test_features_of_fewer_items_than_were_counted_are_refused(folder: Path) -> None:
    save_features([one.take(np.arange(20)) for one in _joint().features], folder)
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_joint(folder, base(n_items=32).tower)


def test_the_tower_of_another_backbone_is_refused(saved: Path) -> None:
    wide = Backbone(pretrain(rings(10), SMALL.model_copy(update={"width": 32, "epochs": 1}), 0))
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_joint(saved, wide.tower())
