"""The documentation against the program: commands parse, links lead somewhere, every command is described."""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dynmm.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
_SHELL_ENDS = {"|", ">", ">>", "2>", "&&", ";"}


def blocks(text: str) -> Iterator[str]:
    """The content of fenced blocks, continued lines joined."""
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if found.group(1) != "output":
            yield re.sub(r"\\\n\s*", " ", found.group(2))


def commands_in(text: str) -> Iterator[list[str]]:
    """The arguments of every `dynmm ...` line in a fenced block, and of every `dynmm ...` in the prose."""
    lines = [line for block in blocks(text) for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += [found.group(1) for found in re.finditer(r"`(dynmm [^`]+)`", prose)]
    for line in lines:
        found = re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?dynmm (?P<rest>.*)", line)
        if found and found["rest"] != "...":
            words = shlex.split(found["rest"], comments=True)
            end = next((place for place, word in enumerate(words) if word in _SHELL_ENDS), len(words))
            yield words[:end]


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_fences_stand_at_the_start_of_a_line_and_are_closed(page: Path) -> None:
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if "```" in line]
    assert [line for line in lines if not line.lstrip("> ").startswith("```")] == []
    assert len(lines) % 2 == 0


def without_files(command: click.Command) -> click.Command:
    """The same command, with paths that need not exist."""
    loose = copy.copy(command)
    loose.params = [copy.copy(parameter) for parameter in command.params]
    for parameter in loose.params:
        if isinstance(parameter.type, click.Path | click.File):
            parameter.type = click.STRING
    return loose


def parse(words: list[str], *, whole: bool) -> None:
    """Parse arguments by the real commands without running any. Raises click.UsageError.

    whole: arguments that a command needs must be there, too.
    """
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            raise click.UsageError(f"no such command: {' '.join(words)}")
        command, rest = found, rest[1:]
    if isinstance(command, click.Group) and not rest:
        return
    try:
        without_files(command).make_context(" ".join(words), rest)
    except click.exceptions.Exit as left:
        if left.exit_code:
            raise
    except click.MissingParameter:
        if whole:
            raise


CASES = [
    pytest.param(words, id=f"{page.relative_to(ROOT)}: {' '.join(words)}"[:100])
    for page in PAGES
    for words in commands_in(page.read_text(encoding="utf-8"))
]


def test_the_documentation_shows_commands() -> None:
    assert len(CASES) >= 10


@pytest.mark.parametrize("words", CASES)
def test_every_command_in_the_documentation_parses(words: list[str]) -> None:
    parse(words, whole=len(words) > 2)


@pytest.mark.parametrize(
    "line",
    [
        "dynmm fitt DATA --out RUN",
        "dynmm fit DATA --outt RUN",
        "dynmm fit DATA RUN --out x",
        "dynmm fit DATA --out x --split y",
    ],
)
def test_a_wrong_command_is_noticed(line: str) -> None:
    (words,) = commands_in(f"```\n{line}  # a remark\n```")
    with pytest.raises(click.UsageError):
        parse(words, whole=True)


EVERY_COMMAND = [pytest.param(path, id=" ".join(path)) for path, _ in every_command(main)]


@pytest.mark.parametrize("path", EVERY_COMMAND)
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    (words,) = commands_in("```\n" + re.split("Examples?:", result.output)[1].strip().splitlines()[0] + "\n```")
    parse(words, whole=True)


@pytest.mark.parametrize("path", EVERY_COMMAND)
def test_every_command_is_described_in_the_guide(path: tuple[str, ...]) -> None:
    guide = (ROOT / "docs" / "guides" / "command-line.md").read_text(encoding="utf-8")
    assert f"`dynmm {' '.join(path)}" in guide or f"\ndynmm {' '.join(path)}" in guide


def test_every_key_is_shown_with_a_type_in_words_and_a_meaning() -> None:
    listed = json.loads(CliRunner().invoke(main, ["config", "--json"]).stdout)
    assert listed["backbone.epochs"]["type"] == "int | auto"
    assert listed["data.kinds"]["type"] == "list of text | null"
    assert [key for key, row in listed.items() if not re.fullmatch(r"[a-z0-9_ |]+", row["type"])] == []
    assert [key for key, row in listed.items() if not row["meaning"].endswith(".")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) + re.findall(r'src="([^"]+)"', text)
    inner = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in inner if not (page.parent / target).exists()] == []


def test_what_a_command_printed_is_no_command() -> None:
    text = "```output\ndynmm 0.1431\n```\n```\ndynmm config\n```"
    assert list(commands_in(text)) == [["config"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_begin_and_end_on_lines_of_their_own(page: Path) -> None:
    fences = [line for line in page.read_text(encoding="utf-8").splitlines() if "```" in line]
    assert [line for line in fences if not line.lstrip().startswith("```")] == []
    assert len(fences) % 2 == 0
