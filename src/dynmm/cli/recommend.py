"""`dynmm recommend`: items for one user of a run."""

from __future__ import annotations

from pathlib import Path

import click

from dynmm.cli.common import command, device_option, json_option, note, print_json


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--user", required=True, help="The user's id, as in the data set.")
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many items.")
@click.option("--exclude", "exclude", multiple=True, metavar="ITEM", help="An item to leave out; repeatable.")
@device_option
@json_option
@command
def recommend(run: Path, user: str, k: int, exclude: tuple[str, ...], device: str, as_json: bool) -> None:
    """Recommend items for one user of RUN, best first.

    \b
    Example:
      dynmm recommend runs/films --user 42 -k 5
    """
    from dynmm.recommender import Recommender

    recommender = Recommender.from_pretrained(run, device=device)
    items = recommender.recommend(user, k, exclude=exclude)
    if not items:
        note(f"nothing is left to recommend: user {user!r} had every item that is not excluded")
    if as_json:
        listed = [{"item": one.item, "title": one.title, "score": one.score} for one in items]
        print_json({"user": user, "items": listed})
        return
    width = max((len(one.item) for one in items), default=0)
    for place, one in enumerate(items, start=1):
        click.echo(f"{place:3d}. {one.item:<{width}}  {one.score:8.4f}  {one.title or ''}".rstrip())
