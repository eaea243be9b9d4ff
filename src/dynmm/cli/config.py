"""`dynmm config`: every key, its default and its meaning."""

from __future__ import annotations

import json
import textwrap

import click

from dynmm.cli.common import command, json_option, print_json
from dynmm.errors import ConfigError


@click.command()
@click.argument("key", required=False)
@json_option
@command
def config(key: str | None, as_json: bool) -> None:
    """Print every configuration KEY, or those that begin with KEY.

    \b
    Example:
      dynmm config backbone
    """
    from dynmm.config import describe

    rows = [row for row in describe() if key is None or row[0] == key or row[0].startswith(f"{key}.")]
    if not rows:
        raise ConfigError(f"no key begins with {key!r}; `dynmm config` without KEY lists them all")
    if as_json:
        print_json({name: {"type": kind, "default": default, "meaning": text} for name, kind, default, text in rows})
        return
    for name, kind, default, text in rows:
        shown = default if isinstance(default, str) else json.dumps(default)
        click.echo(f"{name} = {shown}   ({kind})")
        click.echo(textwrap.indent(textwrap.fill(text, 96), "    "))
