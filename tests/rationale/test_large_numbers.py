"""Numbers that no float and no JSON text holds: each is a problem that names its field, and no crash."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from tests.rationale.made import FILMS, FOLLOWED, OPERATOR, Told, as_json, explained

from dynmm.errors import RationaleUnreadable
from dynmm.rationale.verification import verify
from dynmm.rationale.writing import write

NUMBERS = [float("inf"), float("-inf"), 10**400, -(10**400), 10**5_000]


def _true() -> tuple[Told, dict[str, Any]]:
    store = Told({"followed:a>i": FOLLOWED})
    return store, as_json(write(explained(store), store, FILMS, OPERATOR, "u"))


@pytest.mark.parametrize("number", NUMBERS, ids=["inf", "-inf", "10^400", "-10^400", "10^5000"])
def test_a_share_beyond_all_floats_is_a_problem_of_told(number: float) -> None:
    store, told = _true()
    for held in (None, explained(store)):
        found = verify({**told, "told": number}, store, FILMS, OPERATOR, held)
        assert {problem.field for problem in found.problems} == {"told"}
        assert all("told" in problem.text for problem in found.problems)
        json.dumps(found.as_json(), allow_nan=False)


@pytest.mark.parametrize("number", [10**400, 10**5_000], ids=["10^400", "10^5000"])
def test_an_offset_or_a_count_of_too_many_digits_is_named(number: int) -> None:
    store, told = _true()
    late = verify({**told, "as_of_offset": number}, store, FILMS, OPERATOR)
    assert [problem.field for problem in late.problems] == ["as_of_offset"]
    json.dumps(late.as_json(), allow_nan=False)
    with pytest.raises(RationaleUnreadable, match="k is a whole number"):
        verify({**told, "k": number}, store, FILMS, OPERATOR)


def test_a_count_in_a_claim_is_named() -> None:
    store, told = _true()
    counted, unwritable = copy.deepcopy(told), copy.deepcopy(told)
    counted["claims"][0]["facts"]["users"] = 10**400
    found = verify(counted, store, FILMS, OPERATOR)
    assert [problem.field for problem in found.problems] == ["facts.users"]
    unwritable["claims"][0]["facts"]["users"] = 10**5_000
    with pytest.raises(RationaleUnreadable, match=r"claims\[0\]: facts is a JSON object"):
        verify(unwritable, store, FILMS, OPERATOR)


def test_what_is_nested_deeply_is_a_problem_and_no_crash() -> None:
    store, told = _true()
    nested: list[Any] = []
    for _ in range(600):
        nested = [nested]
    told["claims"][0]["facts"]["users"] = nested
    found = verify(told, store, FILMS, OPERATOR)
    assert "facts.users" in {problem.field for problem in found.problems}
    json.dumps(found.as_json())
