"""`dynmm data`: import and inspect data sets."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dynmm.cli.common import CONTEXT, command, json_option, note, print_json

if TYPE_CHECKING:
    from dynmm.interactions.inspection import Inspection

#: name -> (module, attribute, short help): loaded when called.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "import": ("dynmm.cli.data_import", "import_data", "Turn a data set of another format into a folder."),
    "inspect": ("dynmm.cli.data", "inspect_data", "Print what a data set holds and what it can be used for."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        found = getattr(importlib.import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings=CONTEXT)
def data() -> None:
    """Import and inspect data sets.

    \b
    Example:
      dynmm data inspect examples/movielens
    """


@click.command("inspect")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="PNG to draw.  [default: NAME-inspect.png here]")
@click.option("--no-plot", is_flag=True, help="Draw nothing.")
@click.option("--min-rating", type=float, help="Only rows with at least this rating.")
@click.option("--kinds", help="Only these kinds of events, with commas between.")
@click.option("--skip-bad", is_flag=True, help="Leave out and count bad rows instead of stopping at the first.")
@json_option
@command
def inspect_data(
    folder: Path,
    plot: Path | None,
    no_plot: bool,
    min_rating: float | None,
    kinds: str | None,
    skip_bad: bool,
    as_json: bool,
) -> None:
    """Print what the data set in FOLDER holds and what it can be used for, and draw it.

    \b
    Example:
      dynmm data inspect examples/movielens --plot films.png
    """
    from dynmm.interactions.drawing import draw
    from dynmm.interactions.inspection import inspect
    from dynmm.interactions.loading import load_dataset

    if plot is not None and no_plot:
        raise click.UsageError("--plot and --no-plot exclude each other")
    only = None if kinds is None else [kind.strip() for kind in kinds.split(",")]
    dataset = load_dataset(folder, min_rating=min_rating, kinds=only, skip_bad=skip_bad)
    inspection = inspect(dataset)
    target = plot or Path(f"{Path(dataset.info.name).name or 'data'}-inspect.png")
    if not no_plot:
        draw(dataset, target)
        note(f"drew {target}")
    if as_json:
        print_json({**inspection.as_json(), "plot": None if no_plot else str(target)})
    else:
        _print(inspection)


def _print(facts: Inspection) -> None:
    rows = [
        ("users", f"{facts.users:,} ({facts.users_with_one_event:,} with one event)"),
        ("items", f"{facts.items:,} ({facts.items_with_events:,} with events)"),
        ("events", f"{facts.events:,}"),
        ("density", f"{facts.density:.3%}"),
        ("time", _time_words(facts)),
        ("events per user", _quantile_words(facts.events_per_user)),
        ("events per item", _quantile_words(facts.events_per_item)),
        ("repeats", f"{facts.repeats_share:.2%} of the events take an item again"),
        ("long tail", f"a tenth of the items has {facts.head_share:.0%} of the events"),
        ("rated", f"{facts.rated_share:.0%} of the events"),
    ]
    if facts.given_split:
        rows.append(("given split", ", ".join(f"{part} {count:,}" for part, count in facts.given_split.items())))
    rows += [("left out", f"{count:,} rows: {reason}") for reason, count in facts.left_out.items()]
    click.echo(facts.name)
    for name, words in rows:
        click.echo(f"  {name:<16} {words}")
    click.echo("items with")
    for name, count in facts.coverage.items():
        click.echo(f"  {name:<28} {count:>12,}  {count / facts.items:>6.1%}")
    click.echo("can be used for")
    for use in facts.uses:
        click.echo(f"  {'yes' if use.possible else 'no':<3} {use.name:<27} {use.detail}")


def _time_words(facts: Inspection) -> str:
    words = {
        "second": "timestamps",
        "day": "timestamps of day resolution",
        "order": "only the order within each user",
        "partial": "timestamps on some rows only",
        "none": "no order known",
    }[facts.time_resolution]
    if facts.span_days is None:
        return words
    ties = f"{facts.ties_share:.1%} of the events share theirs with another of the same user"
    return f"{words}, {facts.first} to {facts.last} ({facts.span_days:,.1f} days); {ties}"


def _quantile_words(quantiles: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in quantiles.items())
