"""The fitted stage: new items, other features of the same items, and what stays as it was."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.fusion.made import JOINT, N_ITEMS, features, history, joined, lacking, places
from torch.nn.functional import normalize

from dynmm.catalogue.corruption import corrupt, drop
from dynmm.catalogue.features import Attributes, Features, LeftOut
from dynmm.errors import DataError
from dynmm.fusion.content import CF, halved, join
from dynmm.fusion.diagnostics import item_gate
from dynmm.fusion.joint import Joint
from dynmm.fusion.pretraining import Joined
from dynmm.fusion.settings import FusionSettings
from dynmm.fusion.trust import Explained
from dynmm.testing import state_hash

#: What content says where it says a good deal.
SAYS = Explained((0.3, 0.1), 0.35)

ASKED = [history(3, 4, 5), history(), history(29), history(*range(20))]


@functools.cache
def _fitted(variant: str = "joint") -> Joined:
    """Texts of 30 items but one, pictures of some; item 30 has a text and no event, item 31 has nothing."""
    settings = JOINT if variant == "joint" else FusionSettings(variant="paper", hidden=16, epochs=2, patience=2)
    words = Attributes(("dark", "red"), np.random.default_rng(0).random((32, 2)).astype(np.float32))
    image = replace(places("image", 32, width=5, seed=1), attributes=words)
    return joined([lacking(places(n_items=32), [4, 31]), lacking(image, [*range(10), 31])], settings)


def _joint(variant: str = "joint") -> Joint:
    return Joint(_fitted(variant))


def _new(joint: Joint, items: list[int]) -> list[Features]:
    """The content of some items once more, as that of new ones."""
    return [one.take(np.asarray(items)) for one in joint.features]


@pytest.mark.parametrize("variant", ["joint", "paper"])
def test_new_items_leave_all_that_was_there_as_it_was(variant: str) -> None:
    joint = _joint(variant)
    before, vectors = state_hash(joint), joint.item_vectors.clone()
    users = joint.user_vectors(ASKED)
    larger = joint.with_items(_new(joint, [3, 12, 31]))
    assert state_hash(joint) == before
    assert (joint.n_items, larger.n_items) == (32, 35)
    assert torch.equal(larger.item_vectors[:32], vectors)
    assert torch.equal(larger.user_vectors(ASKED), users)
    assert larger.parameter_hash() == joint.parameter_hash()


@pytest.mark.parametrize("variant", ["joint", "paper"])
def test_a_new_item_gets_what_the_fit_gives_the_same_content_without_events(variant: str) -> None:
    joint = _joint(variant)
    larger = joint.with_items(_new(joint, [30, 31, 12]))
    assert torch.equal(larger.item_vectors[32], joint.item_vectors[30])
    assert torch.equal(larger.item_vectors[33], joint.item_vectors[31])
    counts = joint.joined.counts.copy()
    counts[12] = 0
    as_if_new = Joint(replace(joint.joined, counts=counts))
    assert torch.equal(larger.item_vectors[34], as_if_new.item_vectors[12])
    assert not larger.parts().present[32:, 0].any()


def test_new_items_in_two_steps_are_those_in_one() -> None:
    joint = _joint()
    once = joint.with_items(_new(joint, [1, 2, 20]))
    twice = joint.with_items(_new(joint, [1])).with_items(_new(joint, [2, 20]))
    assert torch.equal(once.item_vectors, twice.item_vectors)
    assert all(np.array_equal(a.vectors, b.vectors) for a, b in zip(once.features, twice.features, strict=True))
    assert [one.n_items for one in twice.added] == [3, 3]


def test_what_was_left_out_is_told_once_however_many_came_since() -> None:
    told = LeftOut("i4", "text", "is empty")
    fitted = _fitted()
    with_line = (replace(fitted.features[0], left_out=(told,)), *fitted.features[1:])
    joint = Joint(replace(fitted, features=with_line))
    for item in (1, 2, 3):
        joint = joint.with_items([one.take(np.asarray([item])) for one in fitted.features])
    assert joint.features[0].left_out == (told,)


def test_new_items_may_lack_a_modality_altogether() -> None:
    joint = _joint()
    text = _new(joint, [12])[:1]
    larger = joint.with_items(text)
    assert larger.parts().present[32].tolist() == [False, True, False]
    assert larger.attributes["image"].values.shape == (33, 2)
    assert np.isnan(larger.attributes["image"].values[32]).all()
    assert torch.equal(larger.item_vectors[:32], joint.item_vectors)


def test_features_that_took_no_part_are_not_used() -> None:
    joint = _joint()
    more = [*_new(joint, [12]), features(np.ones((1, 4)), "audio")]
    assert torch.equal(joint.with_items(more).item_vectors, joint.with_items(more[:2]).item_vectors)


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": "other"},
        {"identity": "made/other"},
        {"vectors": np.ones((1, 9), np.float32)},
    ],
)
def test_features_of_another_making_are_refused(change: dict[str, object]) -> None:
    joint = _joint()
    text, image = _new(joint, [12])
    with pytest.raises(DataError, match=r"text features of the new items come from .* encode them the same way"):
        joint.with_items([replace(text, **change), image])  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [[], "unequal"])
def test_features_that_are_not_of_the_same_new_items_are_refused(wrong: object) -> None:
    joint = _joint()
    given = [] if wrong == [] else [_new(joint, [1])[0], _new(joint, [1, 2])[1]]
    with pytest.raises(DataError, match="same items"):
        joint.with_items(given)


@pytest.mark.parametrize("variant", ["joint", "paper"])
def test_the_same_features_give_the_same_latents(variant: str) -> None:
    joint = _joint(variant)
    twin = joint.with_features(joint.features)
    assert torch.equal(twin.item_vectors, joint.item_vectors)
    assert torch.equal(twin.user_vectors(ASKED), joint.user_vectors(ASKED))


def test_a_dropped_modality_has_no_weight_and_the_rest_is_as_it_was() -> None:
    joint = _joint()
    vectors = joint.item_vectors.clone()
    twin = joint.with_features(drop(joint.features, "image"))
    assert not twin.parts().weights[:, 2].any()
    assert torch.equal(joint.item_vectors, vectors)
    changed = (twin.item_vectors != vectors).any(1)
    assert changed[10:31].all()
    assert not changed[:10].any()


def test_with_every_modality_dropped_events_are_left() -> None:
    joint = _joint()
    twin = joint.with_features(drop(drop(joint.features, "image"), "text"))
    table = joint.joined.model.latents.collaborative
    torch.testing.assert_close(twin.item_vectors[:30], torch.nn.functional.normalize(table[:30], dim=-1))
    assert twin.parts().weights[:30, 0].tolist() == [1.0] * 30


def test_wrong_content_changes_latents_and_nothing_else() -> None:
    joint = _joint()
    twin = joint.with_features(corrupt(joint.features, "text", "wrong"))
    assert torch.equal(twin.parts().present, joint.parts().present)
    assert not torch.equal(twin.item_vectors, joint.item_vectors)
    assert twin.parameter_hash() == joint.parameter_hash()


def test_features_of_other_items_or_modalities_are_refused() -> None:
    joint = _joint()
    text, image = joint.features
    for wrong in ([text], [image, text], [text.take(np.arange(31)), image.take(np.arange(31))], []):
        with pytest.raises(DataError, match="sees text, image of 32 items"):
            joint.with_features(wrong)


def test_items_of_which_nothing_is_known_stand_near_the_end() -> None:
    joint = _joint().with_items([lacking(features(np.ones((2, 8))), [0, 1])])
    assert not joint.parts().present[[31, 32, 33]].any()
    assert torch.equal(joint.item_vectors[31], joint.item_vectors[33])
    asked = [history(item, item + 1) for item in range(0, 28, 3)] + [history()]
    scores = joint.user_vectors(asked) @ joint.item_vectors.t()
    behind = (scores[:, :31] > scores[:, 31:32]).float().mean(1)
    assert float(behind.mean()) > 0.8
    assert float((scores[:, 31] < scores[:, :31].mean(1)).float().mean()) > 0.9


def test_nothing_known_of_any_item_is_no_number_that_is_none() -> None:
    fitted = _fitted()
    nobody = replace(fitted, counts=np.zeros_like(fitted.counts))
    joint = Joint(nobody).with_features([lacking(one, range(32)) for one in fitted.features])
    assert not joint.item_vectors.any()
    assert bool(torch.isfinite(joint.user_vectors(ASKED)).all())


def test_a_user_gets_alone_what_they_get_among_others_to_the_bit() -> None:
    joint = _joint()
    asked = [history(*range(start, start + length)) for start, length in ((0, 1), (3, 4), (5, 8), (2, 9), (9, 20))]
    together = joint.user_vectors([*asked, *ASKED])
    for at, one in enumerate(asked):
        assert torch.equal(joint.user_vectors([one])[0], together[at])
        assert torch.equal(joint.user_vectors([one, asked[0]])[0], together[at])


def test_no_users_are_no_vectors() -> None:
    assert _joint().user_vectors([]).shape == (0, 16)


def test_somebody_without_a_history_is_ranked_by_popularity() -> None:
    joint = _joint()
    scores = (joint.user_vectors([history()]) @ joint.item_vectors.t())[0, :30]
    counts = torch.from_numpy(joint.joined.counts[:30]).float()
    assert float(torch.corrcoef(torch.stack([scores, counts.log()]))[0, 1]) > 0.5


def test_parts_add_up_to_the_latents() -> None:
    joint = _joint()
    made = joint.parts()
    total = torch.stack([made.weights[:, m, None] * part for m, part in enumerate(made.parts)]).sum(0)
    known = made.present.any(1)
    torch.testing.assert_close(total[known], joint.item_vectors[known] * made.lengths[known][:, None])
    assert bool((made.lengths[known] > 0).all())
    assert not total[~known].any()
    assert not made.lengths[~known].any()
    assert made.names == (CF, "text", "image") == joint.modalities


def test_what_is_guessed_of_new_items_is_linear_in_their_content() -> None:
    joint = _joint()
    larger = joint.with_items(_new(joint, [12]))
    torch.testing.assert_close(larger.guessed_cf()[32], joint.guessed_cf()[12])
    content = join([halved(one) for one in joint.features], joint.joined.standardisers, joint.joined.counts)
    assert torch.equal(joint.guessed_cf(), joint.joined.regressor(content))


def test_half_of_what_a_new_item_stands_for_is_guessed_and_nothing_else_moves() -> None:
    fitted = replace(_fitted(), explained=SAYS)
    network, half, all_of_it = (
        Joint(replace(fitted, settings=fitted.settings.model_copy(update={"guessed": share})))
        for share in (0.0, 0.5, 1.0)
    )
    assert torch.equal(network.item_vectors, _joint().item_vectors), "30 items are too few to say what content says"
    assert torch.equal(half.item_vectors[:30], network.item_vectors[:30])
    guess = normalize(fitted.guesser(half.content)[30], dim=0)
    torch.testing.assert_close(all_of_it.item_vectors[30], guess)
    torch.testing.assert_close(half.item_vectors[30], normalize(guess + network.item_vectors[30], dim=0))
    for one in (network, half, all_of_it):
        assert item_gate(one, 30) == item_gate(network, 30)


def test_a_guess_is_shared_out_among_the_modalities_that_it_was_made_from() -> None:
    joint = Joint(replace(_fitted(), explained=SAYS))
    larger = joint.with_items(_new(joint, [12, 3]))
    made, z = larger.parts(), larger.parts().weights.new_zeros(larger.n_items, 16)
    for m, part in enumerate(made.parts):
        z += made.weights[:, m, None] * part
    rows = [30, 32, 33]
    torch.testing.assert_close(normalize(z[rows], dim=-1), larger.item_vectors[rows])
    assert (made.weights[rows] > 0).tolist() == [[False, True, True], [False, True, True], [False, True, False]]
    assert not made.present[rows, 0].any()


@pytest.mark.parametrize("more", [1, 7, 8, 9, 10, 63, 64, 65])
def test_what_is_guessed_of_one_item_does_not_depend_on_the_others(more: int) -> None:
    joint = Joint(replace(_fitted(), explained=SAYS))
    threads = torch.get_num_threads()
    try:
        for count in (2, 1):
            torch.set_num_threads(count)
            larger = joint.with_items(_new(joint, [12, *(item % 30 for item in range(more - 1))]))
            assert torch.equal(larger.item_vectors[:32], joint.item_vectors)
            assert torch.equal(larger.item_vectors[32], joint.with_items(_new(joint, [12])).item_vectors[32])
    finally:
        torch.set_num_threads(threads)


def test_where_content_says_nothing_of_the_latents_nothing_is_guessed() -> None:
    fitted = _fitted()
    idle = Joint(replace(fitted, explained=Explained((0.005, 0.0), 0.009)))
    network = Joint(replace(fitted, settings=fitted.settings.model_copy(update={"guessed": 0.0})))
    assert torch.equal(idle.item_vectors, network.item_vectors)


def test_the_latents_of_the_fit_were_made_of_half_precision() -> None:
    for one in _joint().features:
        assert np.array_equal(one.vectors, one.vectors.astype(np.float16).astype(np.float32))
    assert N_ITEMS == 30
