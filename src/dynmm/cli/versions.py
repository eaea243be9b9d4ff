"""`dynmm versions`: what a run's adapter can go back to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from dynmm.cli.common import command, device_option, json_option, note, print_json


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@device_option
@json_option
@command
def versions(run: Path, device: str, as_json: bool) -> None:
    """List the versions of RUN's adapter: where in the log each was made, and which one serves. 0 is the frozen base.

    \b
    Example:
      dynmm versions runs/films
    """
    from dynmm.recommender import Recommender

    recommender = Recommender.from_pretrained(run, device=device)
    found, refused = recommender.versions, recommender.refused
    if as_json:
        print_json({"versions": [one.as_json() for one in found], "refused": refused})
        return
    for one in found:
        moment = None if one.moment is None else datetime.fromtimestamp(one.moment / 1000, UTC)
        when = "" if moment is None else f", newest event of {moment:%Y-%m-%dT%H:%M:%SZ}"
        click.echo(f"{one.version}: offset {one.offset:,}{when}{', serves' if one.serves else ''}")
    if refused:
        note(f"{refused:,} events or updates were thrown away: not finite numbers, or far too large a step")
    if not found:
        note("this run has no adapter, so nothing of it has versions")
