"""`dynmm demo`: fit, measure and recommend on a small data set, offline."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dynmm.cli.common import Once, command, device_option, json_option, note, print_json
from dynmm.cli.progress import INTERRUPTED, EpochBar


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder to fill.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="A data set folder; without it a small world is simulated."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@device_option
@json_option
@command
def demo(out: Path, data: Path | None, seed: int, device: str, as_json: bool) -> None:
    """Fit, evaluate beside the comparison systems, recommend for three users and say why, write report.html. Offline.

    The simulated world has pictures and sounds, and some items come after the fit. One recommendation is shown
    that a picture explains, and one that a sound explains, where there are such.

    \b
    Example:
      dynmm demo --data examples/movielens --out demo
    """
    from dynmm.assembly import FitOptions
    from dynmm.demo import run_demo
    from dynmm.evaluation.ladder import ladder
    from dynmm.rationale.words import Words

    try:
        with EpochBar() as bar:
            options = FitOptions(device, None, bar.epoch, bar.progress, bar.stage, bar.encoding)
            made = run_demo(out, data, seed=seed, options=options, told=Once())
    except KeyboardInterrupt:
        note(INTERRUPTED)
        sys.exit(130)
    if as_json:
        print_json({"report": str(made.report), "run": str(made.run), "seconds": made.seconds, "result": made.result})
        return
    click.echo(ladder(made.result).to_text())
    for text in made.result["notes"]:
        click.echo(f"- {text}")
    verb = Words.of(made.fitted.split.source.info).verb
    for example in made.examples:
        click.echo(f"\nUser {example.user} {verb}, newest first: {', '.join(example.history)}")
        for place, one in enumerate(example.recommended, start=1):
            click.echo(f"  {place}. {one.title}")
            click.echo(f"     {one.rationale.text}")
    click.echo(f"\n{made.checked}")
    for sensed in made.sensed:
        click.echo(f"\n{sensed.title}")
        for sentence in sensed.sentences:
            click.echo(f"  {sentence}")
    click.echo(f"\n{made.seconds:.0f} s. Open {made.report} for the figures; the run is in {made.run}.")
