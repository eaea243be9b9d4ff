"""`dynmm forget`: a user leaves a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dynmm.cli.common import command, device_option, json_option, print_json, visible


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--user", required=True, help="The user's id, as in the data set.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the certificate to this file, too.")
@device_option
@json_option
@command
def forget(run: Path, user: str, out: Path | None, device: str, as_json: bool) -> None:
    """Delete a user from RUN: log, statistics, histories, adapter and snapshots are as if they had never been there.

    Prints a certificate, which also says what the deletion does not cover. It cannot be undone.

    \b
    Example:
      dynmm forget runs/films --user 42 --out certificate.json
    """
    from dynmm.recommender import Recommender
    from dynmm.storage import write_json

    if out is not None and not (out.parent.is_dir() and os.access(out.parent, os.W_OK) and not out.is_dir()):
        raise click.UsageError(f"--out {out}: no file can be written there, so nothing was deleted; name another place")
    with Recommender.from_pretrained(run, device=device) as recommender:
        certificate = recommender.forget(user)
        # Printed before it is written, and before the run is closed: what was deleted is gone, whatever fails then.
        _print(certificate, user, as_json)
    if out is not None:
        write_json(out, certificate)


def _print(certificate: Mapping[str, Any], user: str, as_json: bool) -> None:
    if as_json:
        print_json(certificate)
        return
    deleted = ", ".join(f"{count:,} {what}" for what, count in certificate["deleted"].items())
    click.echo(f"user {visible(user)}: deleted {deleted}")
    for one in certificate["covers"]:
        click.echo(f"  gone: {one}")
    for one in certificate["not_covered"]:
        click.echo(f"  not covered: {one}")
