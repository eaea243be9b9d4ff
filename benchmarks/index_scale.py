"""The index at a million items: bytes, recall, latency, and the memory that building and asking take.

    python benchmarks/index_scale.py --out benchmarks/results/index_scale.json

Each phase runs on one thread in a process of its own, whose peak resident memory is measured. Mapped files
count in it, though the system may take their pages back; "own memory" leaves them out. The latents are
simulated: clusters in few directions. The aim: under 6 GB throughout, 64 bytes an item in memory.

    python benchmarks/index_scale.py --kinds --items 100000

compares kinds of codes of that size instead: what each keeps on a shortlist, and what it costs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dynmm.randomness import generator
from dynmm.retrieval.codes import faiss_module, one_thread
from dynmm.retrieval.exact import ExactIndex
from dynmm.retrieval.index import ItemIndex, build_index, load_index
from dynmm.retrieval.measuring import mean_overlap
from dynmm.retrieval.quantised import QuantisedIndex
from dynmm.retrieval.rowfiles import map_rows, write_rows
from dynmm.retrieval.settings import RetrievalSettings
from dynmm.storage import write_json

WIDTH, DEPTH = 256, 100
AIM_BYTES, AIM_ITEM_BYTES = 6 * 10**9, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--kinds", action="store_true", help="compare kinds of codes of the same size instead")
    parser.add_argument("--phase", choices=list(PHASES), help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # Side by side with other work, threads wait for one another; one thread gives ratios that hold.
    torch.set_num_threads(1)
    if arguments.kinds:
        _compare_kinds(arguments.items, arguments.queries)
        return
    if arguments.phase is not None:
        found = PHASES[arguments.phase](arguments.place, arguments.items, arguments.queries)
        found["peak_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as place:
        phases = {name: _in_a_process(name, place, arguments.items, arguments.queries) for name in PHASES}
    result = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "threads": 1,
        "load": os.getloadavg()[0],
        "items": arguments.items,
        "width": WIDTH,
        "depth": DEPTH,
        "aims": {"peak_bytes": AIM_BYTES, "bytes_per_item": AIM_ITEM_BYTES},
        **phases,
    }
    _tell(result)
    if arguments.out is not None:
        write_json(arguments.out, result)


def _in_a_process(phase: str, place: str, items: int, queries: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--phase", phase, "--place", place]
    ran = subprocess.run(
        [*command, "--items", str(items), "--queries", str(queries)], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _simulate(place: Path, items: int, queries: int) -> dict[str, Any]:
    write_rows(place / "latents.npy", np.float32, (items, WIDTH), latents(items, WIDTH))
    made = users(_vectors(place, items), queries)
    write_rows(place / "users.npy", np.float32, (queries, WIDTH), [made])
    return {}


def _exact(place: Path, items: int, queries: int) -> dict[str, Any]:
    index = ExactIndex(np.array(_vectors(place, items)))
    asked = _users(place, queries)
    found = index.search(asked, DEPTH).items
    write_rows(place / "truth.npy", np.int32, found.shape, [found])
    return {"bytes_per_item": 4 * WIDTH, "milliseconds": _latencies(index, asked)}


def _build(place: Path, items: int, _: int) -> dict[str, Any]:
    # Read into memory, as the latents are that a fit has just made.
    index = build_index(np.array(_vectors(place, items)), RetrievalSettings(index="pq"), place / "index", seed=0)
    return {"facts": index.facts, "cpu_seconds": time.process_time()}


def _ask(place: Path, _: int, queries: int) -> dict[str, Any]:
    load_index(place / "index").search(_users(place, 1), DEPTH)  # whatever is loaded once is not the index's
    before = _own_memory()
    index = load_index(place / "index")
    assert isinstance(index, QuantisedIndex)
    asked = _users(place, queries)
    truth = map_rows(place / "truth.npy", np.int32, (queries, DEPTH))
    by_codes = [index.shortlist(user, DEPTH) for user in asked]
    return {
        "recall": mean_overlap(truth, list(index.search(asked, DEPTH).items)),
        "recall_without_reranking": mean_overlap(truth, by_codes),
        "milliseconds": _latencies(index, asked),
        "milliseconds_without_reranking": _times(lambda user: index.shortlist(user[0], DEPTH), asked),
        "own_memory_bytes": _own_memory() - before,
        "own_memory_of_process_bytes": _own_memory(),
    }


PHASES: dict[str, Callable[[Path, int, int], dict[str, Any]]] = {
    "simulate": _simulate,
    "exact": _exact,
    "build": _build,
    "ask": _ask,
}


def _vectors(place: Path, items: int) -> NDArray[np.float32]:
    return map_rows(place / "latents.npy", np.float32, (items, WIDTH))


def _users(place: Path, queries: int) -> NDArray[np.float32]:
    asked = np.load(place / "users.npy", allow_pickle=False)[:queries]
    return np.asarray(asked, dtype=np.float32)


def _latencies(index: ItemIndex, asked: NDArray[np.float32]) -> dict[str, float]:
    found = _times(lambda user: index.search(user, DEPTH), asked)
    began, used = time.perf_counter(), time.process_time()
    index.search(asked, DEPTH)
    found["batch"] = 1_000 * (time.perf_counter() - began) / len(asked)
    found["batch_cpu"] = 1_000 * (time.process_time() - used) / len(asked)
    return found


def _times(ask: Callable[[NDArray[np.float32]], object], asked: NDArray[np.float32]) -> dict[str, float]:
    """Milliseconds of one user at a time; cpu: of the processor, which other work on the machine leaves alone."""
    ask(asked[:1])
    wall, cpu = [], []
    for row in range(len(asked)):
        began, used = time.perf_counter(), time.process_time()
        ask(asked[row : row + 1])
        wall.append(1_000 * (time.perf_counter() - began))
        cpu.append(1_000 * (time.process_time() - used))
    return {"p50": float(np.median(wall)), "p95": float(np.percentile(wall, 95)), "cpu": float(np.median(cpu))}


def _own_memory() -> int:
    """Bytes of this process that no file stands for, where the system tells (Linux), else 0."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def _tell(result: dict[str, Any]) -> None:
    exact, build, ask = result["exact"], result["build"], result["ask"]
    facts, items = build["facts"], max(1, result["items"])
    size = facts["bytes_per_item"]
    rows = [
        ("exact, float32", exact["bytes_per_item"], 1.0, exact["milliseconds"]),
        ("pq, codes alone", size, ask["recall_without_reranking"], ask["milliseconds_without_reranking"]),
        ("pq, re-ranked", size, ask["recall"], ask["milliseconds"]),
    ]
    print(f"{items:,} items of width {WIDTH}, recall@{DEPTH}, one thread; cpu: processor time beside other work")
    print(f"{'':16} bytes/item  recall   one user: p50     p95     cpu   exact = 1   of many: cpu, each")
    for name, each, recall, took in rows:
        ratio = took["cpu"] / exact["milliseconds"]["cpu"]
        batch = f"{took['batch_cpu']:8.2f} ms" if "batch_cpu" in took else ""
        times = f"{took['p50']:14.2f} {took['p95']:7.2f} {took['cpu']:7.2f} ms"
        print(f"{name:16} {each:10} {recall:7.4f} {times} {ratio:8.4f}   {batch}")
    files = facts["file_bytes"]
    print(f"on disk: codes {files['codes.npy']:,} bytes, halves {files['halves.npy']:,} bytes, mapped")
    print(f"own memory of the loaded index: {ask['own_memory_bytes'] / items:.1f} bytes an item")
    print(f"built in {sum(facts['build_seconds'].values()):.0f} s, {build['cpu_seconds']:.0f} s of the processor")
    for phase in ("exact", "build", "ask"):
        print(f"peak memory, {phase}: {result[phase]['peak_bytes'] / 1e9:.2f} GB (aim: under {AIM_BYTES / 1e9:.0f} GB)")


#: Clusters, and the directions in which they differ, the first of them most.
CLUSTERS, DIRECTIONS = 2_000, 64
_CHUNK = 50_000


def latents(n: int, width: int, seed: int = 0) -> Iterator[NDArray[np.float32]]:
    """n items of unit length in pieces of (C, width). Three parts of cluster, two of the item's own, some noise."""
    random = generator(seed, "latents")
    basis = np.linalg.qr(random.standard_normal((width, DIRECTIONS)))[0].T.astype(np.float32)
    spread = np.arange(1, DIRECTIONS + 1, dtype=np.float32) ** -0.5
    spread /= np.linalg.norm(spread)
    centres = random.standard_normal((CLUSTERS, DIRECTIONS), dtype=np.float32) * spread
    for start in range(0, n, _CHUNK):
        size = min(_CHUNK, n - start)
        own = random.standard_normal((size, DIRECTIONS), dtype=np.float32) * spread
        noise = random.standard_normal((size, width), dtype=np.float32) / np.float32(np.sqrt(width))
        shared = centres[random.integers(0, CLUSTERS, size)]
        rows = (np.float32(0.8) * shared + np.float32(0.5) * own) @ basis + np.float32(0.3) * noise
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def users(items: NDArray[np.float32], n: int, seed: int = 0) -> NDArray[np.float32]:
    """(n, D): the mean of three items each, and noise of a third of its length."""
    random = generator(seed, "users of latents")
    chosen = np.sort(random.integers(0, len(items), (n, 3)), axis=1)
    taste = items[chosen.ravel()].reshape(n, 3, -1).mean(axis=1)
    noise = random.standard_normal(taste.shape, dtype=np.float32)
    noise *= np.linalg.norm(taste, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
    made: NDArray[np.float32] = (taste + noise / 3).astype(np.float32)
    return made


#: By faiss's names, at 64 bytes an item or little more: fast scan, 8-bit codes, fast scan within inverted lists.
KINDS = ("PQ128x4fs", "PQ64", "IVF256,PQ128x4fs")
PROBES = (16, 64)


def _compare_kinds(items: int, queries: int) -> None:
    vectors = np.concatenate(list(latents(items, WIDTH)))
    asked = users(vectors, queries)
    truth = ExactIndex(vectors).search(asked, DEPTH).items
    sample = vectors[generator(0, "sample").permutation(items)[: RetrievalSettings().training_items]]
    faiss = faiss_module()
    print(f"{items:,} items of width {WIDTH}, one thread; share of the best {DEPTH} on a shortlist of")
    print(f"{'':26}     100     500    1000   cpu, each  bytes/item  to learn")
    for kind in KINDS:
        with one_thread(faiss):
            used = time.process_time()
            index = faiss.index_factory(WIDTH, kind, faiss.METRIC_INNER_PRODUCT)
            index.train(sample)
            learning = time.process_time() - used
            index.add(vectors)
            size = len(faiss.serialize_index(index)) / items
            for probes in PROBES if kind.startswith("IVF") else (None,):
                if probes is not None:
                    index.nprobe = probes
                used = time.process_time()
                found = [index.search(user[None], 1000)[1][0] for user in asked]
                took = 1_000 * (time.process_time() - used) / queries
                kept = [mean_overlap(truth, [row[:n] for row in found]) for n in (100, 500, 1000)]
                name = kind if probes is None else f"{kind}, {probes} lists"
                shares = " ".join(f"{share:7.4f}" for share in kept)
                print(f"{name:26} {shares} {took:8.2f} ms {size:11.1f} {learning:7.1f} s", flush=True)


if __name__ == "__main__":
    main()
