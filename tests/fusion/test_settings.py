"""The joint stage's configuration: what follows from the backbone, and what the paper's form decides."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests.fusion.made import backbone

from dynmm.config import Config
from dynmm.errors import ConfigError
from dynmm.fusion.pretraining import following, losses_of
from dynmm.fusion.settings import FusionSettings, chosen

PAPER = {"tower": "frozen", "collaborative": "frozen", "gate": "mean", "guessed": 0.0}
PAPER |= {"modality_dropout": 0.0, "swap": 0.0}


def test_auto_follows_the_backbone_and_what_is_set_stays() -> None:
    recipe = backbone().recipe()
    found = following(FusionSettings(), recipe)
    assert chosen(found.temperature) == recipe.temperature
    assert chosen(found.weight_decay) == recipe.weight_decay
    assert chosen(found.epochs) == max(3, (recipe.epochs + 1) // 2)
    assert "auto" not in {value for name, value in found.model_dump().items() if name != "precision"}
    assert following(found, recipe) == found
    by_hand = following(FusionSettings(epochs=9, patience=2, temperature=0.3), recipe)
    assert (by_hand.epochs, by_hand.patience, by_hand.temperature) == (9, 2, 0.3)


def test_the_papers_form_decides_what_it_says() -> None:
    found = FusionSettings(variant="paper")
    assert {name: getattr(found, name) for name in PAPER} == PAPER
    assert FusionSettings.model_validate(found.model_dump()) == found
    assert following(found, backbone().recipe()).tower == "frozen"
    assert found.learning_rate == 5e-4
    assert FusionSettings(variant="paper", learning_rate=2e-3).learning_rate == 2e-3


def test_the_papers_alignment_leaves_sounds_out_wherever_they_stand() -> None:
    paper = FusionSettings(variant="paper")
    for names, left in (
        (("cf", "text", "image", "audio"), (3,)),
        (("cf", "image", "audio"), (2,)),
        (("cf", "text"), ()),
    ):
        losses = losses_of(paper, names, mask_history=False)
        assert (losses.one_way, losses.unaligned) == (True, left)
    assert losses_of(FusionSettings(), ("cf", "audio"), mask_history=False).unaligned == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tower", "trained"),
        ("collaborative", "trained"),
        ("gate", "learned"),
        ("guessed", 0.5),
        ("modality_dropout", 0.1),
        ("swap", 0.2),
    ],
)
def test_what_contradicts_the_papers_form_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"variant 'paper' decides {name}"):
        Config.of({"fusion": {"variant": "paper", name: value}})
    assert FusionSettings.model_validate({"variant": "paper", name: PAPER[name]}).variant == "paper"


@pytest.mark.parametrize(
    "wrong",
    [{"modalities": ["smell"]}, {"align_weight": -1}, {"modality_dropout": 1.0}, {"epochs": 0}, {"temperature": 0}],
)
def test_values_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        FusionSettings.model_validate(wrong)
