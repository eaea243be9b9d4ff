"""`dynmm stream`: the last part of a run's data replayed, scored before it is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from dynmm.cli.common import command, device_option, json_option, print_json
from dynmm.cli.outputs import FIGURE, check_outputs
from dynmm.cli.progress import CountBar


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--window",
    default="",
    help="Length of a window: 1h, 1d, 30m; by default 1h, or 1d on daily data. It is the adapter's, too, unless the "
    "run was fitted with an adapter.window.",
)
@click.option(
    "--mode",
    type=click.Choice(["event", "window"]),
    default="event",
    show_default=True,
    help="What advances within a window: histories and counts, or nothing.",
)
@click.option("--system", "systems", multiple=True, metavar="NAME", help="A comparison system; repeatable.")
@click.option("--ladder", is_flag=True, help="Replay the lower rungs of the ladder, too.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Also write the JSON to this file, and beside it the figure of the curves.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Also write a report in HTML to this file.")
@device_option
@json_option
@command
def stream(
    run: Path,
    window: str,
    mode: str,
    systems: tuple[str, ...],
    ladder: bool,
    out: Path | None,
    report: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Replay the last 30 % of a RUN that was fitted with --split stream: every event is scored, then learned.

    \b
    Example:
      dynmm stream runs/films-stream --window 1d --system online-item-knn
      dynmm stream runs/films-stream --ladder --out stream.json --report stream.html
    """
    from typing import cast

    from dynmm.evaluation.figures import stream_curves
    from dynmm.evaluation.replay import Mode
    from dynmm.evaluation.report import ReportData, write_report
    from dynmm.measurement import stream as replay
    from dynmm.recommender import Recommender
    from dynmm.storage import write_bytes, write_json

    check_outputs(out, figure=True, report=report)
    recommender = Recommender.from_pretrained(run, device=device)
    with CountBar() as bar:
        result = replay(recommender, mode=cast(Mode, mode), window=window, systems=systems, ladder=ladder, told=bar)
    _print(result, as_json)
    if out is not None:
        write_json(out, result)
        write_bytes(out.with_suffix(FIGURE), stream_curves(result))
    if report is not None:
        options = ["--mode", mode, *(["--window", window] if window else []), *(["--ladder"] if ladder else [])]
        options += [text for name in systems for text in ("--system", name)]
        commands = ["dynmm fit <DATA> --out <RUN> --split stream", " ".join(["dynmm stream <RUN>", *options])]
        write_report(report, ReportData(f"{result['data']} along a stream", results=[result], reproduce=commands))


def _print(result: Mapping[str, Any], as_json: bool) -> None:
    from dynmm.evaluation.ladder import averaged_over_users, ladder
    from dynmm.evaluation.old_cases import old_table

    if as_json:
        print_json(result)
        return
    counts = result["counts"]
    click.echo(f"{result['protocol']}: {counts['events']:,} events of {result['users']:,} users")
    click.echo(ladder(result).to_text())
    click.echo("averaged over users, each with the same weight:")
    click.echo(replace(ladder(averaged_over_users(result)), foot="").to_text())
    for name, seconds in result["update_seconds"].items():
        effect = result["event_to_effect_ms"][name]
        click.echo(
            f"{name}: {seconds:.1f} s learning, {result['rank_seconds'][name]:.1f} s ranking; from an event to its "
            f"effect {effect['p50']:.1f} ms in the median, {effect['p95']:.1f} ms at most in 95 of 100"
        )
    for name, kept in result["retention"].items():
        low, high = kept["ci95"]
        click.echo(
            f"{name}: HR@10 of validation's questions {kept['hit@10 before']:.4f} before the stream and "
            f"{kept['hit@10 after']:.4f} after it, {kept['hit@10 after'] - kept['hit@10 before']:+.4f} "
            f"[{low:+.4f}, {high:+.4f}]"
        )
    click.echo(old_table(result).to_text())
    for text in result["notes"]:
        click.echo(f"- {text}")
