"""Calls that wait share the next commit, and each learns what became of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from dynmm.errors import DataError, StorageError
from dynmm.stream.group_commit import GroupCommit


class Slow:
    """Commits that wait until they may go on, and answer each number with its double."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_go_on = threading.Event()
        self.trouble: BaseException | None = None

    def commit(self, asked: Sequence[int]) -> list[int]:
        self.groups.append(list(asked))
        self.may_go_on.wait(10)
        if self.trouble is not None and len(self.groups) == 2:
            raise self.trouble
        return [2 * one for one in asked]


def waiting_behind_one(slow: Slow, group: GroupCommit[int, int], count: int) -> dict[int, int | BaseException]:
    """One call that is being committed, and so many that wait for it; then all go on."""
    answers: dict[int, int | BaseException] = {}

    def call(number: int) -> None:
        try:
            answers[number] = group.submit(number)
        except (StorageError, DataError, MemoryError) as error:
            answers[number] = error

    first = threading.Thread(target=call, args=(0,))
    first.start()
    until(lambda: slow.groups == [[0]])
    rest = [threading.Thread(target=call, args=(number,)) for number in range(1, count + 1)]
    for thread in rest:
        thread.start()
    until(lambda: len(group._queue) == count)
    slow.may_go_on.set()
    for thread in [first, *rest]:
        thread.join(10)
    return answers


def until(done: Callable[[], bool]) -> None:
    for _ in range(2000):
        if done():
            return
        time.sleep(0.005)
    pytest.fail("it never came to that")


def test_those_who_wait_share_one_commit() -> None:
    slow = Slow()
    answers = waiting_behind_one(slow, GroupCommit(slow.commit), 5)
    assert [sorted(group) for group in slow.groups] == [[0], [1, 2, 3, 4, 5]]
    assert answers == {number: 2 * number for number in range(6)}


def test_a_group_has_a_limit() -> None:
    slow = Slow()
    answers = waiting_behind_one(slow, GroupCommit(slow.commit, most=2), 5)
    assert [len(group) for group in slow.groups] == [1, 2, 2, 1]
    assert answers == {number: 2 * number for number in range(6)}


def test_each_of_a_refused_group_is_told_with_an_error_of_its_own() -> None:
    slow = Slow()
    slow.trouble = StorageError("the disk is full")
    answers = waiting_behind_one(slow, GroupCommit(slow.commit), 3)
    assert answers.pop(0) == 0
    errors = list(answers.values())
    assert all(isinstance(error, StorageError) and str(error) == "the disk is full" for error in errors)
    assert len({id(error) for error in errors}) == 3


def test_what_is_no_refusal_goes_up_once_and_leaves_nobody_waiting() -> None:
    slow = Slow()
    slow.trouble = MemoryError()
    answers = waiting_behind_one(slow, GroupCommit(slow.commit), 3)
    kinds = sorted(type(answer).__name__ for answer in answers.values())
    assert kinds == ["MemoryError", "StorageError", "StorageError", "int"]
