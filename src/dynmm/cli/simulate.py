"""`dynmm simulate`: a data set from a seeded world with known tastes."""

from __future__ import annotations

from pathlib import Path

import click

from dynmm.cli.common import command, json_option, note, print_json


@click.command()
@click.argument("world", type=click.Path(path_type=Path))
@click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="Data set folder to write.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed is another world.")
@click.option("--overwrite", is_flag=True, help="Replace the data set folder where it exists.")
@json_option
@command
def simulate(world: Path, folder: Path, seed: int, overwrite: bool, as_json: bool) -> None:
    """Make the world that WORLD, a JSON file, describes, and write it as a data set folder.

    The same file and seed give the same bytes. The truth behind the events lies in the folder's truth/.

    \b
    Example:
      dynmm simulate examples/worlds/small.json --out data/small --seed 7
    """
    import numpy as np

    from dynmm.interactions.writing import check_target
    from dynmm.simulation import CAUSES
    from dynmm.simulation import simulate as make
    from dynmm.simulation.media import media_counts
    from dynmm.simulation.reading import read_world

    config = read_world(world)
    check_target(folder, overwrite, world)
    note(f"making about {config.events:,} events of {config.users:,} users with {config.items:,} items")
    made = make(config, seed)
    note(f"writing {folder}")
    made.write(folder)
    causes = dict(zip(CAUSES, np.bincount(made.cause, minlength=len(CAUSES)).tolist(), strict=True))
    media = media_counts(made.media_truth())
    facts = {
        "folder": str(folder),
        "seed": seed,
        "users": len(made.attackers),
        "attackers": int(made.attackers.sum()),
        "items": config.items,
        "interactions": len(made.events),
        "causes": causes,
        "media": media,
    }
    if as_json:
        print_json(facts)
        return
    fake = f" ({facts['attackers']} of them fake)" if facts["attackers"] else ""
    click.echo(f"{folder}: {facts['users']:,} users{fake}, {config.items:,} items, {facts['interactions']:,} events")
    for modality, counts in media.items():
        said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count or name == "items")
        click.echo(f"{modality}: {said}")
    click.echo("causes: " + ", ".join(f"{name} {count:,}" for name, count in causes.items() if count))
