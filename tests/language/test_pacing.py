"""A budget of work: what is left of it, and that the wall clock bounds it."""

from __future__ import annotations

import time

import pytest
import torch

from dynmm.language.pacing import CAP, Pace, Spent

_CPU = torch.device("cpu")


class _Clocks:
    """Both clocks, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.work = self.wall = 0.0
        monkeypatch.setattr(time, "process_time", lambda: self.work)
        monkeypatch.setattr(time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def test_a_busy_machine_buys_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = _Clocks(monkeypatch)
    pace = Pace(100.0, _CPU)
    idle, busy = Spent(1.0, 1.0), Spent(1.0, 2.0)
    assert pace.fitting([idle]) == pace.fitting([busy]) == 95
    clocks.work, clocks.wall = 100.0, 50.0
    assert pace.fitting([idle]) == 45, "two threads work 100 seconds in 50"


def test_the_wall_clock_bounds_what_a_starved_process_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = _Clocks(monkeypatch)
    pace = Pace(100.0, _CPU)
    assert pace.fitting([Spent(1.0, 10.0)]) == int(9.5 * CAP)
    clocks.wall = 100.0 * CAP
    assert pace.fitting([Spent(1.0, 10.0)]) == 0


def test_an_accelerator_counts_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = _Clocks(monkeypatch)
    pace = Pace(100.0, torch.device("cuda"))
    start = pace.spent()
    clocks.work, clocks.wall = 0.5, 20.0
    assert pace.spent() - start == Spent(20.0, 20.0)
    assert pace.fitting([Spent(5.0, 5.0)]) == 15
