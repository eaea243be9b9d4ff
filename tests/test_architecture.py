"""The habits that tools do not check: sizes, forbidden calls and words, imports without side effects."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "dynmm"
OUR_FOLDERS = ("src", "tests", "benchmarks", "examples", "experiments")
OUR_TEXTS = ("*.py", "*.md", "*.toml", "*.txt", "*.svg")
LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_no_file_is_too_long() -> None:
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(*OUR_FOLDERS)}
    assert len(lengths) > 20, "the search for files found next to nothing"
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    found = {}
    for path in python_files(*OUR_FOLDERS):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    found[f"{named(path)}:{node.lineno} {node.name}"] = length
    assert found == {}


UNSAFE_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNSAFE_KEYWORDS = {"allow_pickle", "trust_remote_code"}


def is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def unsafe_uses(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.split(".")[0] in UNSAFE_MODULES:
                yield module
            if module == "torch" and any(alias.name == "load" for alias in node.names):
                yield "from torch import load"
        elif isinstance(node, ast.Attribute) and node.attr == "load":
            if isinstance(node.value, ast.Name) and node.value.id == "torch":
                yield "torch.load"
        elif isinstance(node, ast.keyword) and node.arg in UNSAFE_KEYWORDS and not is_false(node.value):
            yield str(node.arg)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load('x')",
        "from torch import load",
        "numpy.load('x', allow_pickle=True)",
        "AutoModel.from_pretrained('x', trust_remote_code=flag)",
    ],
)
def test_the_search_for_unsafe_reading_finds_it(source: str) -> None:
    assert list(unsafe_uses(ast.parse(source)))


def test_nothing_reads_files_that_can_run_code() -> None:
    files = python_files("src", "benchmarks", "examples", "experiments")
    assert {named(path): uses for path in files if (uses := list(unsafe_uses(parsed(path))))} == {}


def test_only_the_command_line_prints() -> None:
    found = [
        f"{named(path)}:{node.lineno}"
        for path in python_files("src")
        if "cli" not in path.relative_to(PACKAGE).parts
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert found == []


# Written in halves, so that this file does not find itself.
FORBIDDEN = {
    "unfinished work": r"\b(TO" r"DO|FIX" r"ME|Not" r"ImplementedError|place" r"holder)\b",
    "a path of one machine": r"(?<![\w.])/(wo" r"rk|ro" r"ot|ho" r"me|op" r"t|tm" r"p)/\w",
    "a package host": r"(py" r"pi\.org|python" r"hosted\.org|download\.py" r"torch)",
    "an issue by number": r"\bissue" r"s? #?\d",
}


def our_texts() -> Iterator[Path]:
    for folder in (*OUR_FOLDERS, "docs"):
        for pattern in OUR_TEXTS:
            yield from (path for path in (ROOT / folder).rglob(pattern) if path.name != "LICENSE-README.txt")
    yield from ROOT.glob("*.md")
    yield from (ROOT / name for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/run"))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_text_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.IGNORECASE)
    found = [
        f"{named(path)}:{number}: {line.strip()}"
        for path in our_texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


IMPORT_EVERYTHING = """
import importlib, json, logging, os, pkgutil, random, sys, threading
import dynmm
light = sorted({"numpy", "polars", "torch"} & set(sys.modules))
import numpy, polars, torch  # what these do to the process is not ours
environment, generator = dict(os.environ), random.getstate()
names = [found.name for found in pkgutil.walk_packages(dynmm.__path__, "dynmm.")]
for name in names:
    importlib.import_module(name)
heavy = {"fastapi", "implicit", "matplotlib", "pandas", "ranx", "sentence_transformers", "transformers", "uvicorn"}
print(json.dumps({
    "modules": len(names),
    "loaded_by_the_package_alone": light,
    "heavy": sorted(heavy & set(sys.modules)),
    "environment_changed": dict(os.environ) != environment,
    "random_state_changed": random.getstate() != generator,
    "handlers": len(logging.getLogger("dynmm").handlers),
    "threads": threading.active_count(),
}))
"""


@pytest.mark.slow
def test_importing_any_module_has_no_side_effect(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORT_EVERYTHING], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == 1, f"an import printed something: {lines[:-1]}"
    assert ran.stderr == ""
    report = json.loads(lines[0])
    assert report.pop("modules") > 20
    assert report == {
        "loaded_by_the_package_alone": [],
        "heavy": [],
        "environment_changed": False,
        "random_state_changed": False,
        "handlers": 0,
        "threads": 1,
    }
    assert list(tmp_path.iterdir()) == [], "an import wrote a file"


#: Files that break one rule each: path, content, and the line by which the tool must name the breach.
BREACHES = [
    ("backbone/breach.py", "import dynmm.simulation", "dynmm.backbone is not allowed to import dynmm.simulation"),
    ("encoders/breach.py", "import dynmm.fusion", "dynmm.encoders is not allowed to import dynmm.fusion"),
    ("fusion/breach.py", "import dynmm.encoders", "dynmm.fusion is not allowed to import dynmm.encoders"),
    ("interactions/breach.py", "import dynmm.cli.common", "dynmm.interactions is not allowed to import dynmm.cli"),
    ("evaluation/breach.py", "import dynmm.baselines", "dynmm.evaluation is not allowed to import dynmm.baselines"),
    ("stream/breach.py", "import dynmm.evaluation", "dynmm.stream is not allowed to import dynmm.evaluation"),
    ("simulation/breach.py", "import torch", "dynmm.simulation is not allowed to import torch"),
    ("rationale/breach.py", "import torch", "dynmm.rationale.breach is not allowed to import torch"),
    ("retrieval/breach.py", "import transformers", "dynmm is not allowed to import transformers"),
    ("cli/breach.py", "import starlette", "dynmm is not allowed to import starlette"),
    ("recommender.py", "import dynmm.evidence.gather", "dynmm.recommender is not allowed to import dynmm.evidence"),
    ("evidence/gather.py", "", ""),
    ("service/breach.py", "import dynmm.stream.training", "dynmm.service.breach is not allowed to import"),
    ("stream/training.py", "", ""),
    ("misc.py", "", "dynmm.misc"),
]
#: These keep the rules, so the tool must not name them.
ALLOWED = [
    ("encoders/words.py", "import transformers"),
    ("language/words.py", "import transformers"),
    ("service/app.py", "import starlette"),
    ("adapter/update.py", "import dynmm.interactions.dataset"),
]


@pytest.mark.slow
def test_the_import_rules_catch_a_breach_of_each_kind(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "dynmm", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for place, content in [(place, content) for place, content, _ in BREACHES] + ALLOWED:
        path = tmp_path / "dynmm" / place
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text((path.read_text() if path.exists() else "") + content + "\n")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert [named for _, _, named in BREACHES if named not in ran.stdout] == [], ran.stdout
    modules = [place.removesuffix(".py").replace("/", ".") for place, _ in ALLOWED]
    assert [module for module in modules if f"dynmm.{module} ->" in ran.stdout] == [], ran.stdout
