"""`dynmm verify`: every claim of rationales recomputed from the log of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynmm.cli.common import command, device_option, json_option, print_json, visible
from dynmm.errors import RationaleUnreadable

if TYPE_CHECKING:
    from dynmm.rationale.verification import Problem, Verification
    from dynmm.recommender import Recommender

#: Stands for whole numbers of more digits than Python reads.
_ENDLESS = 10**5_000

_MEND = "give what `dynmm recommend --explain --json` or `dynmm explain --json` printed, or one rationale of it"


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", metavar="RATIONALE.json", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--without",
    "without",
    multiple=True,
    metavar="ITEM|FACT",
    help="What a single rationale was written without; what recommend printed says so itself. Repeatable.",
)
@click.option(
    "--exclude",
    "exclude",
    multiple=True,
    metavar="ITEM",
    help="What was excluded where a single rationale was written; what recommend printed says so itself. Repeatable.",
)
@click.option(
    "--offset",
    type=click.IntRange(min=0),
    help="Events in the log when a single rationale was written; what recommend and explain printed says so itself.",
)
@device_option
@json_option
@command
def verify(
    run: Path,
    file: Path,
    without: tuple[str, ...],
    exclude: tuple[str, ...],
    offset: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Recompute every claim of RATIONALE.json from the log of RUN; `-` reads it from stdin.

    Takes one rationale, or what recommend and explain print as JSON, and then every rationale in it, and the user, the
    item and the title that stand beside each. Scores, parts and facts beside it are not looked at. Exit code 0: all
    recompute. 1: some do not, and each is named. 2: it cannot be read.

    \b
    Example:
      dynmm verify runs/films reasons.json
      dynmm recommend runs/films --user 42 --explain --json | dynmm verify runs/films -
    """
    from dynmm.recommender import Recommender

    value = _read(file)
    rationales = list(_rationales(value))
    gone, hidden = [*without, *_left_out(value, "without")], [*exclude, *_left_out(value, "exclude")]
    offset = _written_at(value) if offset is None else offset
    if not rationales:
        raise RationaleUnreadable(f"{file}: no rationale in it; {_MEND}")
    recommender = Recommender.from_pretrained(run, device=device)
    found: list[tuple[Mapping[str, Any], Verification]] = []
    for where, rationale, beside in rationales:
        try:
            one = recommender.verify(rationale, without=gone, exclude=hidden, offset=offset)
        except RationaleUnreadable as error:
            raise RationaleUnreadable(f"{file}: {where}{error}") from None
        wrong = tuple(_beside(beside, rationale, recommender))
        found.append((rationale, replace(one, problems=(*one.problems, *wrong))))
    holds = all(one.holds for _, one in found)
    if as_json:
        told = [{"user": of["user"], "item": of["item"], **one.as_json()} for of, one in found]
        print_json({"holds": holds, "rationales": told})
    else:
        for of, one in found:
            _tell(of, one)
    if not holds:
        sys.exit(1)


def _tell(rationale: Mapping[str, Any], found: Verification) -> None:
    user = "a session" if rationale["user"] is None else f"user {rationale['user']}"
    claims = "1 claim recomputes" if found.claims == 1 else f"{found.claims} claims recompute"
    said = claims if found.claims else "makes no claim"
    click.echo(visible(f"item {rationale['item']} for {user}: {said if found.holds else 'does not recompute'}"))
    for problem in found.problems:
        click.echo(visible(f"  {problem.text}"))


def _read(file: Path) -> Any:
    """The JSON of a file, or of stdin. Raises RationaleUnreadable."""
    from dynmm.rationale.jsonvalues import writable

    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        value = json.loads(content, object_pairs_hook=_once, parse_int=_whole, parse_constant=_no_number)
        # Refuses halves of characters, which no output can show.
        json.dumps(writable(value), ensure_ascii=False).encode()
    except (OSError, ValueError, RecursionError) as error:
        raise RationaleUnreadable(f"{file} is not readable JSON: {error}; {_MEND}") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names are distinct: of two values, another reader may take the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object names a field twice")
    return found


def _whole(text: str) -> int:
    """A whole number; of more digits than are read, another one that is as much too large: its field is named."""
    try:
        return int(text)
    except ValueError:
        return -_ENDLESS if text.startswith("-") else _ENDLESS


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _left_out(value: Any, what: str) -> list[str]:
    """What `recommend` says that it left out. what: `without` or `exclude`. Raises RationaleUnreadable."""
    told = value.get(what, []) if isinstance(value, dict) and "items" in value else []
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        raise RationaleUnreadable(f"{what} is no list of names; {_MEND}")
    return told


def _written_at(value: Any) -> int | None:
    """The offset of now that `recommend` and `explain` print beside rationales, which are as of their own. Raises
    RationaleUnreadable."""
    told = value.get("as_of_offset") if isinstance(value, dict) and ("items" in value or "rationale" in value) else None
    if told is not None and (not isinstance(told, int) or isinstance(told, bool)):
        raise RationaleUnreadable(f"as_of_offset is no whole number; {_MEND}")
    return told


def _beside(beside: Mapping[str, Any], rationale: Mapping[str, Any], recommender: Recommender) -> Iterator[Problem]:
    """Where the user, the item or the title that stand beside a rationale are others than its own."""
    from dynmm.rationale.verification import Problem

    right = {"user": rationale["user"], "item": rationale["item"]}
    if rationale["item"] in recommender.items:
        right["title"] = recommender.title(rationale["item"])
    for name, expected in right.items():
        if name in beside and beside[name] != expected:
            yield Problem(None, f"{name} beside it", expected, beside[name])


def _rationales(value: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Each rationale with where it stands, and what is said of it beside it. Raises RationaleUnreadable for a list of
    items that is none, or that lacks a rationale where others have one."""
    if isinstance(value, dict) and "items" in value:
        if not isinstance(value["items"], list):
            raise RationaleUnreadable("items is no list; " + _MEND)
        own = {"user": value["user"]} if "user" in value else {}
        listed = [list(_rationales(one)) for one in value["items"]]
        for place, found in enumerate(listed):
            if not found and any(listed):
                raise RationaleUnreadable(f"items[{place}] has no rationale, and others have one; {_MEND}")
            yield from ((f"items[{place}]: {where}", one, {**own, **beside}) for where, one, beside in found)
    elif isinstance(value, dict) and "rationale" in value:
        if value["rationale"] is not None:
            yield "", value["rationale"], {name: value[name] for name in ("user", "item", "title") if name in value}
    else:
        yield "", value, {}
