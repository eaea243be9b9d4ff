"""How many sequences a second the backbone trains on, with and without the steady heap, in one run.

    python benchmarks/training_step.py [--device cpu] [--threads 2] [--repeats 6] [--out FILE.json]

Width 256, 2 blocks, 128 histories of 50 places, all real. The machine may be shared, so each case is
measured in several short repeats, in turn with and without the heap setting, and both the best and the
median are told; `per_cpu_second` divides by the time that the process itself computed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from dynmm.backbone.objectives import FullObjective, SampledObjective
from dynmm.backbone.sasrec import SASRec
from dynmm.precision import product_precision
from dynmm.training.batches import TrainingBatch
from dynmm.training.softmax import NegativeSampler
from dynmm.training.steady_heap import steady_heap
from dynmm.training.trainer import Objective

ROWS, PLACES, STEPS = 128, 50, 3
CASES = {"full softmax, 12k items": (12_000, "full", 300), "512 negatives, 50k items": (50_000, "sampled", 600)}


def prepare(n_items: int, loss: str, device: torch.device) -> Callable[[], None]:
    """One training step on random histories, as a call."""
    source = torch.Generator().manual_seed(0)
    model = SASRec(n_items, positions=PLACES, init=source).to(device)
    precision = product_precision("auto", device)
    objective: Objective
    if loss == "full":
        objective = FullObjective(model, mask_history=True, precision=precision)
    else:
        sampler = NegativeSampler(torch.ones(n_items), 512, 0.0)
        objective = SampledObjective(model, sampler, mask_history=True, precision=precision)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=device.type in ("cpu", "cuda"))
    items = torch.randint(0, n_items, (ROWS, PLACES + 1), generator=source)
    batch = TrainingBatch(items[:, :-1].contiguous(), items[:, 1:].contiguous(), torch.full((ROWS,), PLACES))
    noise = torch.Generator(device).manual_seed(1)

    def step() -> None:
        objective.backward(batch, noise, source)
        optimizer.step()
        objective.clear()

    return step


def measure(step: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Sequences per second and per second of this process's own computing, over a few steps."""
    step()
    wait(device)
    begun, computed = time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        step()
    wait(device)
    done = STEPS * ROWS
    return done / (time.perf_counter() - begun), done / (time.process_time() - computed)


def wait(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def run(repeats: int, device: torch.device) -> dict[str, Any]:
    """All cases; prints each."""
    results: dict[str, Any] = {}
    for name, (n_items, loss, goal) in CASES.items():
        step = prepare(n_items, loss, device)
        rates: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(repeats):
            for steady in (False, True):
                with steady_heap(steady):
                    rates[steady].append(measure(step, device))
        summary = {
            ("steady heap" if steady else "plain heap"): {
                "best": max(wall for wall, _ in found),
                "median": statistics.median(wall for wall, _ in found),
                "per_cpu_second": statistics.median(own for _, own in found),
            }
            for steady, found in rates.items()
        }
        gain = summary["steady heap"]["median"] / summary["plain heap"]["median"]
        best, median = summary["steady heap"]["best"], summary["steady heap"]["median"]
        results[name] = {**summary, "goal": goal, "gain": gain, "of_goal": best / goal}
        print(f"{name}: {best:.0f} sequences/s at best, {median:.0f} in the median: {best / goal:.2f} x the goal")
        print(f"  the steady heap gives {gain:.2f} x the plain one, in the median")
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "training_step.json")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": given.device,
        "precision": str(product_precision("auto", device)).removeprefix("torch."),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "sequences_per_second": run(given.repeats, device),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
