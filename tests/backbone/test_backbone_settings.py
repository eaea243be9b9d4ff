"""Presets follow from size and shape, and give way to what is set by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.backbone.cycles import dataset_of

from dynmm.backbone.pretraining import build_model
from dynmm.backbone.settings import BackboneSettings, DataShape, chosen, resolve

SMALL = DataShape(n_users=20, n_items=50, n_events=200)
LONG = DataShape(n_users=6_000, n_items=4_000, n_events=1_000_000)
WIDE = DataShape(n_users=1_000_000, n_items=400_000, n_events=10_000_000)


@given(st.integers(0, 10**7), st.integers(1, 10**6), st.integers(0, 10**8))
def test_every_shape_gets_sound_settings(users: int, items: int, events: int) -> None:
    resolved = resolve(BackboneSettings(), DataShape(users, items, events))
    assert BackboneSettings.model_validate(resolved.model_dump()) == resolved
    undecided = {name for name, value in resolved.model_dump().items() if value == "auto"}
    assert undecided <= {"precision"}


def test_what_depends_on_a_value_follows_the_one_set_by_hand() -> None:
    assert resolve(BackboneSettings(epochs=100), LONG).patience == 30
    small = DataShape(n_users=400, n_items=200, n_events=20_000)
    assert resolve(BackboneSettings(batch_places=512), small).epochs == 40
    assert resolve(BackboneSettings(batch_places=128), small).epochs == 18


@given(st.integers(1, 10**6), st.integers(1, 10**7))
def test_items_seen_more_often_need_less_dropout(items: int, events: int) -> None:
    def dropout(events: int) -> object:
        return resolve(BackboneSettings(), DataShape(10, items, events)).input_dropout

    assert 0.2 <= float(str(dropout(2 * events))) <= float(str(dropout(events))) <= 0.5


@given(st.integers(1, 10**7))
def test_small_data_gets_more_epochs_of_smaller_batches(events: int) -> None:
    small, large = (resolve(BackboneSettings(), DataShape(10, 100, n)) for n in (events, 10 * events))
    assert 256 <= chosen(small.batch_places) <= chosen(large.batch_places) <= 4096
    assert 3 <= chosen(large.epochs) <= chosen(small.epochs) <= 40


def test_long_histories_get_more_positions() -> None:
    assert resolve(BackboneSettings(), SMALL).positions == 50
    assert resolve(BackboneSettings(), LONG).positions == 200


def test_large_catalogues_are_sampled() -> None:
    assert resolve(BackboneSettings(), LONG).loss == "full"
    assert resolve(BackboneSettings(), WIDE).loss == "sampled"


def test_what_is_set_by_hand_stays() -> None:
    by_hand = BackboneSettings(positions=7, loss="sampled", input_dropout=0.0, epochs=3)
    resolved = resolve(by_hand, LONG)
    assert (resolved.positions, resolved.loss, resolved.input_dropout, resolved.epochs) == (7, "sampled", 0.0, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"positions": 0},
        {"positions": "many"},
        {"input_dropout": 1.0},
        {"learning_rate": 0},
        {"loss": "hinge"},
        {"n": 1},
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BackboneSettings.model_validate(wrong)


def test_every_field_says_what_it_is() -> None:
    assert all(field.description for field in BackboneSettings.model_fields.values())


def test_the_shape_of_a_data_set() -> None:
    shape = DataShape.of(dataset_of([[1], [2, 3], [4, 5, 6], []]))
    assert shape == DataShape(n_users=3, n_items=30, n_events=6)


def test_every_setting_of_size_reaches_the_model() -> None:
    sizes = BackboneSettings(width=24, blocks=3, heads=4, inner=40, positions=9, input_dropout=0.25, temperature=0.5)
    settings = sizes.model_copy(update={"order": "places"})
    model = build_model(resolve(settings, SMALL), n_items=11)
    assert model.item_table.shape == (11, 24)
    assert model.place_table is not None
    assert model.place_table.shape == (9, 24)
    assert model.slopes is None
    fading = build_model(resolve(sizes, SMALL), n_items=11)
    assert fading.place_table is None
    assert fading.slopes is not None
    assert fading.slopes.tolist() == pytest.approx([0.5, 0.2321, 0.1077, 0.05], abs=1e-4)
    assert len(model.blocks) == 3
    assert {block.heads for block in model.blocks} == {4}
    assert (model.input_dropout, model.temperature) == (0.25, 0.5)


def test_an_undecided_value_is_a_fault_of_the_caller() -> None:
    with pytest.raises(AssertionError, match="resolved"):
        chosen(BackboneSettings().epochs)


def test_history_stays_in_the_softmax_where_people_take_things_again() -> None:
    assert resolve(BackboneSettings(), DataShape(100, 50, 5_000, repeat_share=0.0)).mask_history is True
    assert resolve(BackboneSettings(), DataShape(100, 50, 5_000, repeat_share=0.2)).mask_history is False
    assert resolve(BackboneSettings(mask_history=True), DataShape(100, 50, 5_000, 0.2)).mask_history is True


def test_the_share_of_repeats_is_counted() -> None:
    assert DataShape.of(dataset_of([[0, 1, 0, 1], [2, 3]])).repeat_share == pytest.approx(2 / 6)
