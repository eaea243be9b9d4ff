"""A log cut at every byte of its last page, and with random bits turned: what opening it gives.

    python benchmarks/log_damage.py [--bits 10000] [--out benchmarks/results/log_damage.json]

Three logs: one was killed, with part of it in the file and part in the write-ahead log alone; one was closed and
has a seal; one was closed and has lost its seal. Any of their files is damaged. Counted are
those that gave everything (`whole`), a true prefix (`prefix`), and refusals by their name. Anything else ends
the run. As a writer opens it, and as a reader does.
"""

from __future__ import annotations

import argparse
import datetime
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dynmm.storage import write_json
from dynmm.testing.log_damage import Killed, closed, killed, opened, quick_folder

PAGE = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    victims: dict[str, Killed] = {}
    with quick_folder() as folder:
        victims["killed"] = killed(folder)
    for name, sealed in (("closed", True), ("closed without a seal", False)):
        with quick_folder() as folder:
            victims[name] = closed(folder, sealed=sealed)
    result: dict[str, object] = {"date": datetime.date.today().isoformat(), "bits": arguments.bits}
    for kind, victim in victims.items():
        for who in ("writer", "reader"):
            generator = random.Random(0)
            found = {"bits": outcomes(victim, (victim.random_bit(generator) for _ in range(arguments.bits)), who)}
            for name, content in sorted(victim.files.items()):
                cuts = (victim.cut(name, len(content) - missing) for missing in range(1, min(PAGE, len(content)) + 1))
                found[f"cuts of {name}"] = outcomes(victim, cuts, who)
            result[f"{kind}, {who}"] = found
            print(kind, who, found, flush=True)
    if arguments.out is not None:
        write_json(arguments.out, result)


def outcomes(victim: Killed, damaged: Iterable[dict[str, bytes]], who: str) -> dict[str, int]:
    """How often each outcome came."""
    with quick_folder() as folder:
        read_only = who == "reader"
        return dict(Counter(opened(folder / "one", files, victim.records, read_only=read_only) for files in damaged))


if __name__ == "__main__":
    main()
