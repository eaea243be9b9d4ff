"""What every command shares: options, logging, progress on stderr, and errors without a traceback."""

from __future__ import annotations

import functools
import json
import logging
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import click

from dynmm.errors import DynmmError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command -v and -q, and turn our errors into one line on stderr and exit code 2."""

    @click.option("-v", "--verbose", is_flag=True, help="Log what is done, on stderr.")
    @click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")
    @functools.wraps(function)
    def wrapped(*args: Any, verbose: bool, quiet: bool, **options: Any) -> None:
        if verbose and quiet:
            raise click.UsageError("-v and -q exclude each other")
        level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
        logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True)
        click.get_current_context().meta["dynmm.quiet"] = quiet
        try:
            function(*args, **options)
        except DynmmError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(1)
        except OSError as error:  # a path that the system refuses before any file of ours is opened
            click.echo(f"error: {error.filename or 'the system'}: {error.strerror or error}", err=True)
            sys.exit(2)

    return wrapped


def quiet() -> bool:
    """True where the user asked for no notes."""
    return bool(click.get_current_context().meta.get("dynmm.quiet"))


def note(text: str) -> None:
    """A line for the reader, on stderr, unless -q."""
    if not quiet():
        click.echo(text, err=True)


def not_reranked(why: str) -> str:
    """What a reader is told where the re-ranker did not answer. why: see `Recommendation.degraded`."""
    return f"the order is that of the stages below the re-ranker ({why})"


class Once:
    """A note for each new thing that is being done."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, text: str) -> None:
        if text != self._last:
            note(text)
            self._last = text


def print_json(value: Any) -> None:
    """One JSON document for machines, on stdout."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def visible(text: str) -> str:
    """Text of unknown origin for a terminal: what cannot be seen, or turns the direction, is written as an escape."""
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(ascii(one)[1:-1] if unicodedata.category(one) in hidden else one for one in text)


device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes CUDA, then the CPU.",
)
view_option = click.option(
    "--view",
    type=click.Choice(["public", "operator"]),
    help="Who reads: public tells of people in buckets, operator all exactly. By default rationale.view of the run.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
