"""The command line: `dynmm COMMAND`. One file per command, loaded when it is called."""

from __future__ import annotations

import importlib
import os
from typing import Any

import click

from dynmm.cli.common import CONTEXT

#: How often a thread that waits for the others of a product looks before it sleeps. The usual 300,000 looks take many
#: times as long as the product when another process has their core. See docs/experiment-log.md, E39.
SPINS = "30000"

#: name -> (module, short help). The help stands here so that `dynmm --help` imports no command.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("dynmm.cli.demo", "Fit, evaluate and recommend on a small data set, offline; write report.html."),
    "data": ("dynmm.cli.data", "Import and inspect data sets."),
    "config": ("dynmm.cli.config", "Print every configuration key, its default and its meaning."),
    "fit": ("dynmm.cli.fit", "Fit a recommender to a data set folder and save the run."),
    "evaluate": ("dynmm.cli.evaluate", "Measure a run beside the comparison systems, with intervals."),
    "stream": ("dynmm.cli.stream", "Replay the last 30 % of a run's data, scoring before learning."),
    "recommend": ("dynmm.cli.recommend", "Recommend items for one user of a run."),
    "explain": ("dynmm.cli.explain", "Say why an item is recommended to a user, and what would be without a fact."),
    "verify": ("dynmm.cli.verify", "Recompute every claim of a rationale from the log of a run."),
    "learn": ("dynmm.cli.learn", "Let a run learn from events, durably."),
    "forget": ("dynmm.cli.forget", "Delete a user from a run, with a certificate."),
    "versions": ("dynmm.cli.versions", "List the versions that a run's adapter can go back to."),
    "rollback": ("dynmm.cli.rollback", "Let an earlier version of a run's adapter serve again."),
    "diff": ("dynmm.cli.diff", "Say what moved in a user's list between two moments, and why."),
    "simulate": ("dynmm.cli.simulate", "Make a data set from a seeded world with known tastes."),
}


class _LazyGroup(click.Group):
    def main(self, *args: Any, **kwargs: Any) -> Any:
        # Read once, when the library is loaded: before any command is imported, and only if nobody else has said how.
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[name][0]), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings=CONTEXT)
@click.version_option(package_name="dynmm")
def main() -> None:
    """dynmm: a recommender that keeps learning, sees and hears its items, and shows its evidence.

    \b
    Example:
      dynmm demo --out demo
    """
