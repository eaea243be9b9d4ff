"""The numbers that a user can look at: they mean what they say on a world that is known."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import torch
from tests.fusion.made import JOINT, features, joined, lacking, places

from dynmm.fusion.diagnostics import as_lines, diagnose, item_gate
from dynmm.fusion.joint import Joint


@functools.cache
def _joint() -> Joint:
    """Text and picture tell the same place; what the audio holds is drawn at random. Item 3 has a text alone."""
    noise = features(np.random.default_rng(5).normal(size=(30, 8)), "audio")
    content = [places(), lacking(places("image", seed=1), [3]), lacking(noise, [3])]
    settings = JOINT.model_copy(update={"epochs": 25, "patience": 25, "learning_rate": 0.01, "align_weight": 0.3})
    return Joint(joined(content, settings, epochs=25))


def test_what_tells_the_same_finds_one_another_and_noise_less() -> None:
    retrieval = diagnose(_joint())["retrieval"]
    assert set(retrieval) == {
        f"{one} to {other}" for one in ("cf", "text", "image", "audio") for other in ("cf", "text", "image", "audio")
        if one != other
    }  # fmt: skip
    pair = retrieval["text to image"]
    assert pair["items"] == 29
    assert pair["chance"] == pytest.approx(10 / 29)
    assert pair["recall@10"] > 2 * pair["chance"]
    assert all(0 <= cell["recall@10"] <= 1 for cell in retrieval.values())


def test_what_tells_nothing_apart_finds_by_chance() -> None:
    """One cover for every item: each of the 30 is as near as any other."""
    content = [places(), features(np.ones((30, 8)), "image")]
    retrieval = diagnose(Joint(joined(content, epochs=1)))["retrieval"]
    for pair in ("text to image", "cf to image"):
        assert retrieval[pair]["recall@10"] == pytest.approx(retrieval[pair]["chance"]) == 1 / 3


def test_gate_weights_are_shares() -> None:
    joint = _joint()
    found = diagnose(joint)
    assert found["modalities"] == ["cf", "text", "image", "audio"]
    assert found["items"] == {"cf": 30, "text": 30, "image": 29, "audio": 29}
    assert all(0 < share < 1 for share in found["gate"].values())
    for item in (0, 3, 29):
        gate = item_gate(joint, item)
        assert sum(gate.values()) == pytest.approx(1, abs=1e-5)
    assert set(item_gate(joint, 3)) == {"cf", "text"}
    weights, present = joint.parts().weights, joint.parts().present
    assert found["gate"]["image"] == pytest.approx(float(weights[present[:, 2], 2].mean()))


def test_what_reconstruction_lost_is_a_share_of_the_variance() -> None:
    joint = _joint()
    lost = diagnose(joint)["reconstruction"]
    assert set(lost) == {"text", "image", "audio"}
    assert lost["text"] < 0.9
    truth, guess = joint.content.vectors[0], joint.decoded()[1]
    by_hand = float((truth - guess).square().sum() / (truth - truth.mean(0)).square().sum())
    assert lost["text"] == pytest.approx(by_hand, rel=1e-4)


def test_the_regressor_is_told_of_as_it_was_fitted() -> None:
    joint = _joint()
    told = diagnose(joint)["content_to_cf"]
    assert told == {"explained": joint.joined.regressor.explained, "penalty": joint.joined.regressor.penalty}
    assert told["explained"] <= 1


def test_a_modality_of_hardly_any_item_is_told_of_without_numbers_that_are_none() -> None:
    content = [places(), lacking(places("image"), range(29))]
    found = diagnose(Joint(joined(content, epochs=1)))
    assert found["items"]["image"] == 1
    assert "text to image" not in found["retrieval"]
    assert "image" not in found["reconstruction"]
    json.dumps(found, allow_nan=False)
    nobody = Joint(joined(content, epochs=1))
    empty = nobody.with_features([lacking(one, range(30)) for one in nobody.features])
    assert diagnose(empty)["gate"]["text"] is None
    assert as_lines(diagnose(empty))


def test_the_lines_say_it_in_words() -> None:
    lines = as_lines(diagnose(_joint()))
    assert lines[0].startswith("gate weights, mean over the items that have it: cf 0.")
    assert any(line.startswith("text to image: ") and "of 29 items found in the first 10 (34% by chance)" in line
               for line in lines)  # fmt: skip
    assert any("of its variance is not given back" in line for line in lines)


def test_looking_changes_nothing() -> None:
    joint = _joint()
    vectors, bits = joint.item_vectors.clone(), joint.parameter_hash()
    assert diagnose(joint) == diagnose(joint)
    assert torch.equal(joint.item_vectors, vectors)
    assert joint.parameter_hash() == bits
