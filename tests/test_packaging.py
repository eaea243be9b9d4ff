"""What is shipped: the wheel holds the package and its licence, and no data."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def project() -> dict[str, object]:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert isinstance(content, dict)
    return content


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    target = tmp_path_factory.mktemp("dist")
    for kind in ("--wheel", "--sdist"):
        command = [sys.executable, "-m", "build", "--no-isolation", kind, "--outdir", str(target), str(ROOT)]
        ran = subprocess.run(command, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return target


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
        entry_points = archive.read(next(name for name in names if name.endswith("/entry_points.txt"))).decode()
    assert {name.split("/")[0] for name in names} == {"dynmm", "dynmm-0.1.0.dist-info"}
    assert "dynmm/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {Path(name).suffix for name in names if name.startswith("dynmm/")} <= {".py", ".typed"}
    assert "License-Expression: Apache-2.0" in metadata
    assert "dynmm = dynmm.cli:main" in entry_points
    ours = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "dynmm").rglob("*.py")}
    assert ours <= set(names)


@pytest.mark.slow
def test_the_source_distribution_leaves_the_sample_data_out(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"LICENSE", "README.md", "pyproject.toml", "src/dynmm/py.typed", "examples/own_csv.py"} <= names
    assert [name for name in names if "movielens" in name and not name.startswith(("src/", "tests/"))] == []
    assert [name for name in names if name.endswith(".parquet")] == []


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_pin_is_one_exact_version_without_a_build_label() -> None:
    assert len(pins()) > 50
    assert [name for name, version in pins().items() if not re.fullmatch(r"\d+(\.\d+)+", version)] == []
    assert pins()["torch"] == "2.13.0"


def test_every_requirement_of_the_tested_sets_is_pinned_and_allows_its_pin() -> None:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    dependencies = project()["dependencies"]
    assert isinstance(dependencies, list)
    wrong = []
    for line in [*dependencies, *extras["eval"], *extras["dev"]]:
        requirement = Requirement(line)
        version = pins().get(canonicalize_name(requirement.name))
        if version is None or version not in requirement.specifier:
            wrong.append(f"{line}: pinned to {version}")
    assert wrong == []


def test_the_extras_are_the_promised_ones() -> None:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    promised = {"audio", "dev", "eval", "index", "llm", "serve", "text", "text-metrics", "tflite", "vision"}
    promised |= {"kafka", "nats", "online", "redis"}
    assert set(extras) == promised


def test_the_changelog_tells_of_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{project()['version']}]" in changelog


def test_the_sample_data_carries_its_terms() -> None:
    folder = ROOT / "examples" / "movielens"
    terms = (folder / "LICENSE-README.txt").read_text(encoding="utf-8")
    assert "redistribute" in terms
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "no commercial" in readme
    assert "Harper and Joseph A. Konstan. 2015" in readme
