"""Every log of the table keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stream.servers import address_of

from dynmm.errors import ConfigError
from dynmm.stream.table import TABLE, open_log
from dynmm.testing.log_contract import LOG_CHECKS, LogCheck


@pytest.mark.parametrize("check", LOG_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("backend", TABLE)
def test_the_contract(backend: str, check: LogCheck, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    base = address_of(backend, tmp_path, request)
    check(lambda name: open_log(base + name))


@pytest.mark.parametrize("address", ["", "sqlite", "sqlite:", "rabbit:x", "/a/path"])
def test_an_address_that_names_no_log_is_refused_with_what_there_is(address: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:PATH"):
        open_log(address)
