"""Who sees whom in a prompt, and at which position."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dynmm.language.prompt import Part, Tail, branches, head_prompt, listed, tail_prompt, whole_prompt

WIDTH = 4


def _part(real: list[list[int]]) -> Part:
    there = torch.tensor(real, dtype=torch.bool)
    return Part(torch.randn(*there.shape, WIDTH), there)


def _head() -> Part:
    return _part([[1, 0, 0, 1, 1], [1, 1, 1, 1, 1]])


def _blocks() -> tuple[Tensor, Tensor]:
    """Two rows of three candidates of a title token and their own; the last of the first row is padding."""
    real = torch.tensor([[[1, 1], [0, 1], [0, 0]], [[1, 1], [1, 1], [1, 1]]], dtype=torch.bool)
    return torch.randn(2, 3, 2, WIDTH), real


def _three(block: Tensor) -> Tensor:
    """(6, 6) the same block three times on the diagonal."""
    return torch.kron(torch.eye(3), block.float()).bool()


@pytest.mark.parametrize("causal", [True, False])
def test_the_head_never_sees_what_follows_it(causal: bool) -> None:
    head = _head()
    for tail in (branches(*_blocks(), causal=causal), listed(None, *_blocks())):
        whole = whole_prompt(head, tail, causal=causal)
        assert not whole.visible[:, :5, 5:].any()
        assert torch.equal(whole.visible[:, :5, :5], head_prompt(head, causal=causal).visible)


def test_causal_tokens_see_backwards_and_others_the_whole_head() -> None:
    head = _head()
    causal, both = (head_prompt(head, causal=one).visible for one in (True, False))
    assert torch.equal(causal[1], torch.ones(5, 5, dtype=torch.bool).tril())
    assert both[1].all()


def test_holes_see_themselves_alone_and_nobody_sees_them() -> None:
    seen = head_prompt(_head(), causal=True).visible[0]
    assert seen[1].tolist() == [False, True, False, False, False]
    assert seen[3].tolist() == [True, False, False, True, False]


def test_positions_count_what_is_real() -> None:
    assert _head().places.tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]]


def test_a_branch_sees_the_head_and_itself_and_its_positions_start_anew() -> None:
    head, tail = _head(), branches(*_blocks(), causal=True)
    found = tail_prompt(head.real, tail)
    assert found.places.tolist() == [[3, 4, 3, 3, 3, 3], [5, 6, 5, 6, 5, 6]]
    assert tail.slots.tolist() == [1, 3, 5]
    own = found.visible[:, :, 5:]
    assert torch.equal(own[1], _three(torch.tensor([[1, 0], [1, 1]])))
    assert found.visible[1, :, :5].all()
    assert found.visible[0, 3].tolist() == [True, False, False, True, True, *[False] * 3, True, False, False]


def test_a_branch_of_an_encoder_sees_all_of_itself() -> None:
    tail = branches(*_blocks(), causal=False)
    assert torch.equal(tail.seen[1], _three(torch.ones(2, 2)))


def test_listed_candidates_see_those_before_them_and_what_stands_before_all() -> None:
    before = _part([[1, 0], [1, 1]])
    tail = listed(before, *_blocks())
    assert tail.slots.tolist() == [3, 5, 7]
    found = tail_prompt(_head().real, tail)
    assert torch.equal(found.visible[1], torch.ones(8, 13, dtype=torch.bool).tril(5))
    assert found.places.tolist() == [[3, 3, 4, 5, 5, 6, 6, 6], list(range(5, 13))]
    # The second candidate of the first row has no title.
    assert found.visible[0, 5, 5:].tolist() == [True, False, True, True, False, True, False, False]


def test_going_on_from_a_head_sees_what_the_whole_prompt_sees() -> None:
    head = _head()
    tails: list[Tail] = [branches(*_blocks(), causal=True), listed(_part([[1], [1]]), *_blocks())]
    for tail in tails:
        whole, rest = whole_prompt(head, tail, causal=True), tail_prompt(head.real, tail)
        assert torch.equal(whole.visible[:, 5:], rest.visible)
        assert torch.equal(whole.places[:, 5:], rest.places)
        assert torch.equal(whole.embeddings[:, 5:], rest.embeddings)
