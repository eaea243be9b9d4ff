from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language.slate_samples import slates

from dynmm.language.questions import Questions, apart, drawn, questions_of
from dynmm.language.slates import NOBODY


def _questions(count: int = 40, candidates: int = 12, padding: int = 0, seed: int = 0) -> Questions:
    asked = slates(count, candidates, seed=seed, padding=padding)
    places = torch.arange(count) % (candidates - padding)
    return questions_of(asked, asked.items.gather(1, places[:, None])[:, 0], torch.arange(count) // 2)


def test_only_questions_with_the_answer_among_the_candidates_train() -> None:
    asked = slates(4, 3, padding=1)
    targets = torch.stack([asked.items[0, 1], torch.tensor(-5), asked.items[2, 0], torch.tensor(NOBODY)])
    found = questions_of(asked, targets, torch.tensor([7, 8, 9, 10]))
    assert found.answers.tolist() == [1, 0]
    assert found.people.tolist() == [7, 9]
    assert torch.equal(found.slates.items, asked.items[[0, 2]])
    assert found.standing.tolist() == [[1, 1, 0], [1, 1, 0]]


def test_one_person_stands_on_one_side() -> None:
    questions = _questions()
    training, held = apart(questions, 0.25, seed=3)
    assert len(held) == 10
    assert len(training) == 30
    assert not set(training.people.tolist()) & set(held.people.tolist())
    again = apart(questions, 0.25, seed=3)[1]
    assert torch.equal(held.people, again.people)
    assert not torch.equal(held.people, apart(questions, 0.25, seed=4)[1].people)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 11), padding=st.integers(0, 6), seed=st.integers(0, 5))
def test_drawn_keeps_the_answer_the_hardest_and_the_order(size: int, padding: int, seed: int) -> None:
    questions = _questions(padding=padding, seed=seed)
    few = drawn(questions, size, torch.Generator().manual_seed(seed))
    assert few.slates.items.shape == (len(questions), size)
    for row in range(len(questions)):
        whole, kept = questions.slates.items[row].tolist(), few.slates.items[row].tolist()
        answer = whole[int(questions.answers[row])]
        assert kept[int(few.answers[row])] == answer
        real = [one for one in kept if one != NOBODY]
        assert len(real) == min(size, 12 - padding)
        places = [whole.index(one) for one in real]
        assert places == sorted(places)
        others = [one for one in whole if one not in (answer, NOBODY)]
        assert set(others[: (size - 1) // 2]) <= set(real)
        # Together the kept ones stand for all candidates, unless none was drawn for the rest.
        if size > 2 and len(real) > 1 + (size - 1) // 2:
            assert abs(float(few.standing[row].sum()) - (12 - padding)) < 1e-4


def test_what_is_known_of_a_candidate_goes_with_it() -> None:
    questions = _questions()
    few = drawn(questions, 5, torch.Generator().manual_seed(0))
    for row in range(3):
        place = (questions.slates.items[row] == few.slates.items[row, 3]).nonzero().item()
        assert torch.equal(few.slates.facts[row, 3], questions.slates.facts[row, int(place)])
        assert few.slates.scores[row, 3] == questions.slates.scores[row, int(place)]


def test_as_many_as_there_are_changes_nothing() -> None:
    questions = _questions()
    assert drawn(questions, 12, torch.Generator()) is questions
