"""`dynmm recommend`: items for one user of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynmm.cli.common import command, device_option, json_option, not_reranked, note, print_json, view_option, visible

if TYPE_CHECKING:
    from dynmm.recommender import Recommender
    from dynmm.types import Recommendation


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--user", required=True, help="The user's id, as in the data set.")
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many items.")
@click.option("--explain", is_flag=True, help="Take each score apart and say why.")
@click.option(
    "--without",
    "without",
    multiple=True,
    metavar="ITEM|FACT",
    help="An item of the history, or the id of a fact, that is not to be used; repeatable.",
)
@click.option("--exclude", "exclude", multiple=True, metavar="ITEM", help="An item to leave out; repeatable.")
@click.option(
    "--as-of", "as_of", type=int, metavar="OFFSET", help="As the run was at this offset of its log (operator's view)."
)
@view_option
@device_option
@json_option
@command
def recommend(
    run: Path,
    user: str,
    k: int,
    explain: bool,
    without: tuple[str, ...],
    exclude: tuple[str, ...],
    as_of: int | None,
    view: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Recommend items for one user of RUN, best first.

    \b
    Example:
      dynmm recommend runs/films --user 42 -k 5
      dynmm recommend runs/films --user 42 --explain --without 260
      dynmm recommend runs/films --user 42 --as-of 100000
    """
    from dynmm.assembly import offset_of, writing_of
    from dynmm.cli.telling import writing_json, writing_line
    from dynmm.recommender import Recommender

    recommender = Recommender.from_pretrained(run, device=device, as_of=as_of)
    facts = [one for one in without if one not in recommender.items]
    if view is not None and not explain and not facts:
        raise click.UsageError("--view is about reasons, and about facts that are left out; add --explain")
    items = recommender.recommend(user, k, exclude=exclude, explain=explain, without=without, view=view)
    if not items:
        note(f"nothing is left to recommend: user {user!r} had every item that is not excluded")
    writing = writing_of(recommender) if explain else None
    scored = not facts or _reads_exactly(recommender, view)
    if as_json:
        listed = [_as_json(one, recommender, scored=scored) for one in items]
        told: dict[str, Any] = {"user": user, "as_of_offset": offset_of(recommender)}
        told |= {"degraded": _degraded(items), "without": list(without), "exclude": list(exclude)}
        told["writing"] = writing_json(writing)
        print_json({**told, "items": listed})
        return
    if (why := _degraded(items)) is not None:
        note(not_reranked(why))
    if (line := writing_line(writing)) is not None:
        note(line)
    for line in _lines(items, recommender, scored=scored):
        click.echo(line)


def _degraded(items: Sequence[Recommendation]) -> str | None:
    """Why the re-ranker did not answer, None where it did or where there is none."""
    return next((one.degraded for one in items if one.degraded is not None), None)


def _reads_exactly(recommender: Recommender, view: str | None) -> bool:
    """True for the operator. Scores with a fact and without it would tell the public its exact count."""
    from dynmm.config import Config

    return (view or Config.of(recommender.facts["config"]).rationale.view) == "operator"


def _as_json(one: Recommendation, recommender: Recommender, *, scored: bool) -> dict[str, Any]:
    from dynmm.cli.telling import Reasons

    told: dict[str, Any] = {"item": one.item, "title": one.title, "score": one.score if scored else None}
    if one.explained is None or one.rationale is None:
        return {**told, "contributions": None, "rationale": None}
    return told | Reasons.of(one.explained, one.rationale, recommender).as_json()


def _lines(items: Sequence[Recommendation], recommender: Recommender, *, scored: bool) -> Iterator[str]:
    """A line for each item, and where they were asked for its reasons under it."""
    from dynmm.cli.telling import Reasons, title_of

    width = max((len(visible(one.item)) for one in items), default=0)
    for place, one in enumerate(items, start=1):
        score = f"{one.score:8.4f}  " if scored else ""
        yield f"{place:3d}. {visible(one.item):<{width}}  {score}{title_of(one.title)}".rstrip()
        if one.explained is not None and one.rationale is not None:
            yield from (f"     {line}" for line in Reasons.of(one.explained, one.rationale, recommender).lines())
