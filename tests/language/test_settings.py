"""Settings of re-ranking that mean nothing are refused where they are written, with the key."""

from __future__ import annotations

from typing import Any

import pytest

from dynmm.config import Config
from dynmm.errors import ConfigError


@pytest.mark.parametrize("gammas", [[], [-1.0], [0.5, -0.25], [float("nan")], [float("inf")]])
def test_weights_that_could_not_be_chosen_from_are_refused(gammas: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"reranking\.gammas"):
        Config.of({"reranking": {"gammas": gammas}})


def test_no_weight_at_all_may_be_chosen() -> None:
    settings: Any = Config.of({"reranking": {"gammas": [0]}}).reranking
    assert settings.gammas == (0.0,)
