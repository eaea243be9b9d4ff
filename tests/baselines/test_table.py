"""Every comparison system in the table keeps the contract, and names resolve."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from dynmm import baselines
from dynmm.configuration import Settings
from dynmm.errors import ConfigError, MissingExtraError, UnsupportedByData
from dynmm.system import System
from dynmm.testing import SYSTEM_CHECKS, check_accuracy, tiny_dataset

#: Far above chance (.05), and above popularity (.17) for whatever reads the history.
FLOORS = {
    "random": 0.02,
    "item-knn": 0.7,
    "online-item-knn": 0.7,
    "als": 0.3,
    "bpr": 0.3,
    # Rules that know no order within a session, and one that knows no user.
    "recently-clicked": 0.05,
    "streaming-cooccurrence": 0.08,
    "session-knn": 0.08,
}
FLOOR_OF_COUNTS = 0.12


@pytest.mark.parametrize("check", SYSTEM_CHECKS, ids=lambda check: str(check.__name__))
@pytest.mark.parametrize("name", baselines.names())
def test_contract(name: str, check: Callable[[Callable[[], System]], None]) -> None:
    check(lambda: baselines.create(name))


@pytest.mark.parametrize("name", baselines.names())
def test_accuracy_floor(name: str) -> None:
    check_accuracy(lambda: baselines.create(name), FLOORS.get(name, FLOOR_OF_COUNTS))


@pytest.mark.parametrize("name", baselines.names())
def test_every_setting_is_documented_and_the_name_is_the_tables(name: str) -> None:
    kind = baselines.baseline(name)
    assert issubclass(kind.settings_type, Settings)
    assert all(field.description for field in kind.settings_type.model_fields.values())
    assert isinstance(kind.learns_online, bool)
    assert baselines.create(name).name == name


def test_a_window_in_the_name_is_a_setting() -> None:
    assert baselines.create("recent-popularity-3d").name == "recent-popularity-3d"


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("item-nkk", {}, "item-knn"),
        ("recent-popularity-0d", {}, "days"),
        ("item-knn", {"neighbors": 5}, "neighbors"),
        ("item-knn", {"recency": 1.5}, "recency"),
    ],
)
def test_wrong_names_and_settings_are_named(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        baselines.create(name, **settings)


@pytest.mark.parametrize("name", ["als", "bpr"])
def test_a_missing_library_names_the_pip_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"implicit.cpu.{name}", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dynmm\[eval\]'"):
        baselines.create(name).fit(tiny_dataset())


def test_recent_popularity_refuses_data_without_time() -> None:
    with pytest.raises(UnsupportedByData, match="timestamps"):
        baselines.create("recent-popularity-7d").fit(tiny_dataset(time="order"))


def test_importing_the_table_imports_no_system() -> None:
    code = "import sys, dynmm.baselines; assert not [m for m in sys.modules if m.startswith('dynmm.baselines.')]"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
