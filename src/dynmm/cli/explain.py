"""`dynmm explain`: why one item stands where it stands for one user, and what would be without some facts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dynmm.cli.common import command, device_option, json_option, not_reranked, note, print_json, view_option, visible

if TYPE_CHECKING:
    from dynmm.cli.telling import Reasons
    from dynmm.types import Explanation


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--user", required=True, help="The user's id, as in the data set.")
@click.option("--item", required=True, help="The item's id, as in the data set.")
@click.option(
    "--without",
    "without",
    multiple=True,
    metavar="EVIDENCE",
    help="What would be without this: the id of a fact, or an item of the history; repeatable.",
)
@view_option
@device_option
@json_option
@command
def explain(
    run: Path, user: str, item: str, without: tuple[str, ...], view: str | None, device: str, as_json: bool
) -> None:
    """Say why ITEM stands where it stands for one user of RUN: the parts of its score, facts, and sentences.

    With --without everything is computed again: what a fact adds, and what score and rank would be without it.

    \b
    Example:
      dynmm explain runs/films --user 42 --item 260
      dynmm explain runs/films --user 42 --item 260 --without 'followed:1196>260' --view operator
    """
    from dynmm.assembly import offset_of, writing_of
    from dynmm.cli.telling import Reasons, what_if_json, writing_json, writing_line
    from dynmm.recommender import Recommender

    recommender = Recommender.from_pretrained(run, device=device)
    found = recommender.explain(user, item, without=without, view=view)
    writing = writing_of(recommender)
    title, reasons = recommender.title(item), Reasons.of(found.explained, found.rationale, recommender)
    if as_json:
        print_json(
            {
                "user": user,
                "item": item,
                "title": title,
                "as_of_offset": offset_of(recommender),
                "rank": found.explained.rank,
                "score": found.explained.score,
                "degraded": found.explained.degraded,
                "writing": writing_json(writing),
                **reasons.as_json(),
                "what_if": None if found.what_if is None else what_if_json(found.what_if, reasons),
            }
        )
        return
    if (why := found.explained.degraded) is not None:
        note(not_reranked(why))
    if (line := writing_line(writing)) is not None:
        note(line)
    for line in _lines(found, title, reasons):
        click.echo(line)


def _lines(found: Explanation, title: str | None, reasons: Reasons) -> Iterator[str]:
    from dynmm.cli.telling import title_of, what_if_lines

    explained = found.explained
    yield f"{visible(explained.item)}  {title_of(title)}".rstrip()
    rank = f"rank {explained.rank}" if explained.rank else "no rank, for the user had it before"
    yield f"{rank}, score {explained.score:.4f}"
    yield from reasons.lines()
    if found.what_if is not None:
        yield ""
        yield from what_if_lines(found.what_if, reasons)
