"""`dynmm rollback`: an earlier version of a run's adapter serves again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dynmm.cli.common import command, device_option, json_option, print_json


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--version", "version", type=int, required=True, help="One that `dynmm versions` lists; 0 is the base.")
@device_option
@json_option
@command
def rollback(run: Path, version: int, device: str, as_json: bool) -> None:
    """Let an earlier version of RUN's adapter serve until a new one, learned from there, has proved itself.

    The step stands in the log. What was observed before it teaches nothing any more; histories and counts stay.

    \b
    Example:
      dynmm rollback runs/films --version 0
    """
    from dynmm.recommender import Recommender

    with Recommender.from_pretrained(run, device=device) as recommender:
        before = next((one.version for one in recommender.versions if one.serves), None)
        recommender.rollback(version)
        result = {"as_of_offset": recommender.offset, "before": before, "serves": version}
        # Before the run is closed: the step stands in the log, whatever fails then.
        _print(result, as_json)


def _print(result: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    click.echo(
        f"version {result['serves']} serves, where version {result['before']} did; the log is at offset "
        f"{result['as_of_offset']:,}"
    )
