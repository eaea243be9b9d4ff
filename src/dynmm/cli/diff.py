"""`dynmm diff`: what moved in a user's list between two offsets of the log, and which events did that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dynmm.cli.common import command, device_option, json_option, print_json, visible

if TYPE_CHECKING:
    from dynmm.assembly import Moved, Moves


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--user", required=True, help="The user's id, as in the data set.")
@click.option("--from", "start", type=int, required=True, metavar="OFFSET", help="Offset of the log to begin at.")
@click.option("--to", "end", type=int, required=True, metavar="OFFSET", help="Offset of the log to end at.")
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="Length of the two lists.")
@device_option
@json_option
@command
def diff(run: Path, user: str, start: int, end: int, k: int, device: str, as_json: bool) -> None:
    """Compare a user's list at two offsets of RUN's log: which items moved, and what moved them.

    The difference of each score is split into the user's own history, what is counted of everybody, and the adapter.
    This is the operator's view: it names events.

    \b
    Example:
      dynmm diff runs/films --user 42 --from 100000 --to 100250
    """
    from dynmm.recommender import Recommender

    found = Recommender.from_pretrained(run, device=device).moves(user, start, end, k)
    if as_json:
        print_json(found.as_json())
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: Moves) -> Iterator[str]:
    own = ", ".join(f"{visible(item)} (offset {offset})" for offset, item in found.events) or "nothing"
    yield f"user {visible(found.user)}, offset {found.start:,} to {found.end:,}; took in between: {own}"
    if found.versions is not None:
        yield f"adapter: version {found.versions[0]} to {found.versions[1]}"
    if found.arrived:
        yield f"items that came in between: {', '.join(map(visible, found.arrived[:10]))}"
    for one in found.items:
        yield from _item(one)


def _item(one: Moved) -> Iterator[str]:
    ranks = " to ".join(str(rank) if rank else "no candidate" for rank in (one.rank_before, one.rank_after))
    yield f"{visible(one.item)}  {visible(one.title or '')}".rstrip()
    yield (
        f"    rank {ranks}; score {one.before:.4f} to {one.after:.4f}: history {one.history:+.4f}, "
        f"evidence {one.evidence:+.4f}, adapter {one.adapter:+.4f}"
    )
    for offset, amount in one.own.items():
        yield f"    own event {offset}: {amount:+.4f} of the score now"
    for fact in one.facts:
        events = f", events {', '.join(map(str, fact.events))}" if fact.events else ""
        yield f"    {visible(fact.id)}: {fact.before:+.4f} to {fact.after:+.4f}{events}"
