"""What reading several questions in one run saves, and whether it moves a score.

    python benchmarks/prompt_company.py --out benchmarks/results/prompt_company.json

For each model, number of candidates and size of a run: processor seconds of a question alone and in a full run, and the
largest change of one question's scores among other questions of the same run, beside copies of itself, and alone.
"""

from __future__ import annotations

import argparse
import datetime
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prompt_speed import FLOAT, SHELF, in_turns, made, questions, shaped

from dynmm.language.layout import Layout
from dynmm.storage import write_json

QUESTIONS, OTHERS = 64, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found: list[dict[str, Any]] = []
    for name in ("compact", "minilm"):
        ranker = made(shaped(name, FLOAT, given.device), Layout())
        for candidates in (20, 100):
            asked = questions(QUESTIONS, 20, candidates)
            for rows in (4, 8, 16):
                found.append({"model": name, "candidates": candidates, "rows": rows})
                found[-1] |= measured(ranker, asked, rows, given.repeats, given.device)
                print(found[-1], flush=True)
    result = {
        "date": datetime.date.today().isoformat(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "threads": given.threads,
        "device": given.device,
        "runs": found,
    }
    if given.out is not None:
        write_json(given.out, result)


@torch.no_grad()
def measured(ranker: Any, asked: Any, rows: int, repeats: int, device: str) -> dict[str, float]:
    """Of runs of so many rows. The question that is followed is the fourth."""
    own = 3
    alone, full = asked.take(torch.tensor([own])), asked.take(torch.arange(rows))
    known = ranker(full, SHELF)[own]
    draws, apart = torch.Generator().manual_seed(0), 0.0
    for _ in range(OTHERS):
        company = torch.randperm(QUESTIONS, generator=draws)[:rows]
        place = int(torch.randint(rows, (1,), generator=draws))
        company[place] = own
        apart = max(apart, float((ranker(asked.take(company), SHELF)[place] - known).abs().max()))
    copies = ranker(asked.take(torch.full((rows,), own)), SHELF)[0]
    times = in_turns({"alone": partial(ranker, alone, SHELF), "full": partial(ranker, full, SHELF)}, repeats, device)
    single, each = float(np.median(times["alone"][:, 1])), float(np.median(times["full"][:, 1])) / rows
    return {
        "alone_ms": 1e3 * single,
        "in_company_ms": 1e3 * each,
        "times_faster": single / each,
        "moved_by_others": apart,
        "moved_by_copies": float((copies - known).abs().max()),
        "moved_alone": float((ranker(alone, SHELF)[0] - known).abs().max()),
    }


if __name__ == "__main__":
    main()
