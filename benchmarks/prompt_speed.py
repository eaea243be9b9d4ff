"""What re-ranking by soft prompt costs: kept prefixes, facts, single requests, the paper's Table 5, and order.

    python benchmarks/prompt_speed.py --out benchmarks/results/prompt_speed.json

Models have real shapes and random weights, which take as long as trained ones; MiniLM is itself. What is compared is
measured in turns within one run, and ratios are of medians: of processor time with --threads 1, which a busy machine
disturbs least, else of wall time. The aims: a kept prefix of 200 tokens before 56 is at least
4 times faster; showing facts costs at most 3 % more than the base aligner with the same model, batch and cache; a
single request of 20 candidates takes under 60 ms on 2 cores. Table 5 is the paper's form of prompt (listwise, titles,
an evidence segment) in bfloat16, 8 prompts a batch on a processor and 256 on a GPU.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import itertools
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _shapes import published
from numpy.typing import NDArray

from dynmm.language.compact import CompactShape
from dynmm.language.layout import Arrangement, Layout
from dynmm.language.loading import frozen_model, open_model
from dynmm.language.prefixes import PrefixCache
from dynmm.language.prompt import whole_prompt
from dynmm.language.ranker import LanguageRanker
from dynmm.language.settings import PRESETS
from dynmm.language.slates import Shelf, Slates
from dynmm.language.vocabulary import save_tokenizer, train_tokenizer
from dynmm.language.words import Words
from dynmm.randomness import generator
from dynmm.storage import write_json
from dynmm.transformers_library import quiet

ITEMS, WIDTH, FACTS, CANDIDATES, BATCH = 12_000, 256, 24, 20, 8
TABLE = {"short": 128, "medium": 256, "long": 384}
BFLOAT, FLOAT = torch.bfloat16, torch.float32
Result = dict[str, Any]
Call = Callable[[], Any]
#: (repeats, 2) by name: wall and processor seconds.
Times = dict[str, NDArray[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda, which adds LLaMA-7B's shape to Table 5")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=40, help="turns of each comparison of small models")
    parser.add_argument("--only", default="", help="measure the parts whose name holds this, such as table5")
    parser.add_argument("--out", type=Path, help="with --only the other parts in this file stay as they are")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device, repeats = arguments.device, arguments.repeats
    table = ["opt-125m", "opt-1.3b", *(["llama-7b"] if device == "cuda" else [])]
    measures: dict[str, Call] = {
        "prefix_cache": partial(prefix_cache, device, repeats),
        "facts_over_base": partial(facts_over_base, device, repeats),
        "single_request": partial(single_request, device, 5 * repeats),
        "order": partial(order, device),
        **{f"table5_{name}": partial(apart, name, device, arguments.threads) for name in table},
    }
    parts: dict[str, Result] = {}
    if arguments.only and arguments.out is not None and arguments.out.exists():
        parts = json.loads(arguments.out.read_text(encoding="utf-8"))["parts"]
    for name, measure in measures.items():
        if arguments.only in name:
            parts[name] = {"load": os.getloadavg()[0]} | measure()
            print(f"{name}:", *(f"\n  {key}: {value}" for key, value in parts[name].items()), flush=True)
    result = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "threads": arguments.threads,
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "parts": parts,
    }
    if arguments.out is not None:
        write_json(arguments.out, result)


def prefix_cache(device: str, repeats: int) -> Result:
    """56 candidates behind a prefix of 200 tokens, read whole and from kept states."""
    found: Result = {"tokens": "200 + 56", "batch": BATCH, "aim_times_faster": 4.0}
    for name, precision in (("compact", FLOAT), ("compact", BFLOAT), ("opt-125m", BFLOAT)):
        model = shaped(name, precision, device)
        ranker = made(model, Layout(history=200 - text_tokens(Layout(), model) - 1))
        asked = questions(BATCH, 200, 56)
        cache = PrefixCache(ranker, BATCH)
        check_near(ranker, cache, asked, precision)
        calls = {"whole": partial(ranker, asked, SHELF), "kept": partial(cache, asked, SHELF)}
        times = in_turns(calls, repeats if name == "compact" else max(3, repeats // 4), device)
        assert cache.misses == BATCH, "prefixes were read anew"
        found[f"{name} {called(precision)}"] = milliseconds(times) | {"times_faster": ratio(times, "whole", "kept")}
    return found


def facts_over_base(device: str, repeats: int) -> Result:
    """The same model, batch and kept prefixes, with facts in each candidate's token and without any."""
    found: Result = {"candidates": CANDIDATES, "preset": "short", "aim_overhead_percent": 3.0}
    layouts = {"facts": Layout(shown="candidate"), "base": Layout(shown="none")}
    for name in ("compact", "minilm", "opt-125m"):
        model = shaped(name, BFLOAT if name == "opt-125m" else FLOAT, device)
        rankers = {what: made(model, layout) for what, layout in layouts.items()}
        for rows in (1, BATCH):
            asked = questions(rows, 20, CANDIDATES)
            calls = {what: partial(PrefixCache(ranker, rows), asked, SHELF) for what, ranker in rankers.items()}
            # What is to be told apart is small beside the disturbances: the quicker a model, the more turns.
            times = in_turns(calls, {"compact": 20, "minilm": 5}.get(name, 2) * repeats, device)
            within = times["facts"][:, clock()] / times["base"][:, clock()]
            overhead = 100 * (float(np.median(within)) - 1)
            found[f"{name}, batch {rows}"] = milliseconds(times) | {"overhead_percent": overhead}
    return found


def single_request(device: str, repeats: int) -> Result:
    """One user, 20 candidates, the shipped layout; users take turns."""
    found: Result = {"candidates": CANDIDATES, "aim_p50": 60.0}
    users = [questions(1, 20, CANDIDATES, seed=seed) for seed in range(20)]
    for name in ("compact", "minilm"):
        ranker = made(shaped(name, FLOAT, device), Layout())
        cache = PrefixCache(ranker, len(users))
        calls: dict[str, Call] = {"whole": partial(asks_in_turn, ranker, itertools.cycle(users))}
        if cache.keeps:
            for one in users:
                cache(one, SHELF)
            calls["kept"] = partial(asks_in_turn, cache, itertools.cycle(users))
        found[name] = milliseconds(in_turns(calls, repeats, device))
    return found


def asks_in_turn(ranker: Callable[[Slates, Shelf], Any], users: Iterator[Slates]) -> Any:
    return ranker(next(users), SHELF)


def order(device: str) -> Result:
    """What another order of the candidates does to the scores of a ranker trained for a moment."""
    found: Result = {}
    asked = questions(64, 20, CANDIDATES, seed=1)
    columns = torch.argsort(torch.rand(64, CANDIDATES, generator=torch.Generator().manual_seed(2)), 1)
    arrangements: tuple[Arrangement, ...] = ("branch", "listwise")
    for arrangement in arrangements:
        ranker = made(shaped("compact", FLOAT, device), Layout(arrangement))
        taught(ranker)
        with torch.no_grad():
            was, now = ranker(asked, SHELF).cpu(), ranker(asked.places(columns), SHELF).cpu()
        back = now.gather(1, columns.argsort(1))
        change, spread = (back - was).abs(), float(was.std(1).mean())
        top = [one.topk(10, dim=1).indices for one in (was, back)]
        found[arrangement] = {
            "mean_change": float(change.mean()),
            "max_change": float(change.max()),
            "spread_within_slate": spread,
            "changed_top10_share": float((top[0] != top[1]).any(1).float().mean()),
        }
    assert found["branch"]["max_change"] <= 1e-5, "the order of branches changes their scores"
    return found


def table5(name: str, device: str, threads: int) -> Result:
    """The paper's prompts, and memory."""
    torch.set_num_threads(threads)
    rows, repeats = (256, 10) if device == "cuda" else (BATCH, 1 if name == "opt-1.3b" else 3)
    before = peak_bytes(device)
    model = shaped(name, BFLOAT, device)
    parameters = sum(one.numel() for one in model.parameters())
    # A table is looked up, and no words are made: only the layers compute.
    computing = sum(one.numel() for name, one in model.named_parameters() if "embed" not in name and "head" not in name)
    found: Result = {"parameters": parameters, "weights_bytes": 2 * parameters, "batch": rows, "repeats": repeats}
    calls: dict[str, Call] = {}
    tokens = {}
    for preset, wanted in TABLE.items():
        history, facts = PRESETS[preset]
        free = wanted - text_tokens(Layout(shown="segment"), model) - 1 - history - facts
        titles = free // CANDIDATES - 1
        ranker = made(model, Layout("listwise", history, facts, "segment", titles))
        asked = questions(rows, history, CANDIDATES)
        tokens[preset] = prompt_tokens(ranker, asked)
        calls[preset] = partial(ranker, asked, SHELF)
    times = in_turns(calls, repeats, device)
    peak = matrix_limit(device)
    for preset, taken in times.items():
        second, processor = np.median(taken, 0).tolist()
        speed = rows * tokens[preset] / (processor if clock() else second)
        found[preset] = {"tokens": tokens[preset], "seconds_per_batch": second, "processor_seconds": processor}
        found[preset]["tokens_per_second"] = speed
        found[preset]["share_of_matrix_limit"] = 2 * computing * speed / peak
    return found | {"peak_bytes": peak_bytes(device), "peak_bytes_before": before, "matrix_limit_flops": peak}


def apart(name: str, device: str, threads: int) -> Result:
    """`table5` in a new process, whose peak memory is the model's alone."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as beside:
        return beside.submit(table5, name, device, threads).result()


def in_turns(calls: Mapping[str, Call], repeats: int, device: str = "cpu") -> Times:
    """Wall and processor seconds of each call; in every turn each is made once, behind one turn that does not count."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    with torch.no_grad():
        for turn in range(-1, repeats):
            for name in list(calls)[:: 1 if turn % 2 else -1]:
                wall, processor = time.perf_counter(), time.process_time()
                calls[name]()
                if device == "cuda":
                    torch.cuda.synchronize()
                if turn >= 0:
                    times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: np.asarray(taken) for name, taken in times.items()}


def milliseconds(times: Times) -> Result:
    found: Result = {}
    for name, taken in times.items():
        low, middle, high = (1e3 * np.percentile(taken[:, 0], [5, 50, 95])).tolist()
        processor = 1e3 * float(np.median(taken[:, 1]))
        found[f"{name}_ms"] = {"p5": low, "p50": middle, "p95": high, "processor_p50": processor}
    return found


def ratio(times: Times, one: str, other: str) -> float:
    """Of medians, by `clock`."""
    return float(np.median(times[one][:, clock()]) / np.median(times[other][:, clock()]))


def clock() -> int:
    """The column of `Times` that others on the machine disturb least: processor time where one thread does it all."""
    return int(torch.get_num_threads() == 1 and not torch.cuda.is_available())


def matrix_limit(device: str) -> float:
    """Floating-point operations in a second of a large product in bfloat16: what a card or a processor can do here."""
    size = 8_192 if device == "cuda" else 2_048
    square = torch.randn(size, size, device=device, dtype=BFLOAT)
    times = in_turns({"product": partial(torch.mm, square, square)}, 10, device)["product"]
    return 2 * size**3 / float(times[:, clock()].min())


def peak_bytes(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024
    # What the kernel counts for a process begins with the peak of the one that started it; this does not.
    line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
    return 1_024 * int(line.split()[1])


def check_near(ranker: LanguageRanker, cache: PrefixCache, asked: Slates, precision: torch.dtype) -> None:
    """What is compared gives the same scores. Also fills the cache."""
    cache(asked, SHELF)
    with torch.no_grad():
        apart = float((cache(asked, SHELF) - ranker(asked, SHELF)).abs().max())
    assert apart < (1e-5 if precision == FLOAT else 0.1), f"kept prefixes change scores by {apart}"


def taught(ranker: LanguageRanker) -> None:
    """A short training on questions whose answer is the candidate nearest to the user."""
    optimizer = torch.optim.AdamW(ranker.train().parameters(), 1e-3)
    for step in range(40):
        asked = questions(16, 20, CANDIDATES, seed=100 + step)
        near = (SHELF.vectors[asked.items] * asked.users[:, None]).sum(-1).argmax(1)
        loss = torch.nn.functional.cross_entropy(ranker(asked, SHELF), near.to(ranker.device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    ranker.eval()


def made(model: Any, layout: Layout) -> LanguageRanker:
    """A ranker whose read-out says something."""
    torch.manual_seed(0)
    ranker = LanguageRanker(model, layout, WIDTH, FACTS).to(model.device)
    torch.nn.init.normal_(ranker.readout.score.weight, std=0.05)
    ranker.fit(questions(64, 20, CANDIDATES), SHELF)
    return ranker.eval()


def shaped(name: str, precision: torch.dtype, device: str) -> Any:
    """A model with random weights of a shape, with a tokenizer learned from the titles; `minilm` as it is."""
    if name == "minilm":
        return open_model(name, device=device, precision="float32")
    transformers: Any = importlib.import_module("transformers")

    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(train_tokenizer([*SHELF.titles, *TEXTS], 4_096), Path(folder), 2_048)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    with quiet():
        model = transformers.AutoModelForCausalLM.from_config(config(name), dtype=precision, attn_implementation="sdpa")
    words = Words(tokenizer, int(model.get_input_embeddings().weight.shape[0]))
    return frozen_model(model.to(device), words, identity=name, causal=True)


def config(name: str) -> Any:
    """`compact` as `fit` pretrains it, or a published shape."""
    transformers: Any = importlib.import_module("transformers")

    if name == "compact":
        own = CompactShape()
        return transformers.LlamaConfig(
            vocab_size=own.vocabulary,
            hidden_size=own.hidden,
            num_hidden_layers=own.layers,
            num_attention_heads=own.heads,
            intermediate_size=own.inner,
            max_position_embeddings=1_024,
        )
    return published(name)


def text_tokens(layout: Layout, model: Any) -> int:
    return sum(len(model.tokens(text)) for text, _ in layout.pieces)


def prompt_tokens(ranker: LanguageRanker, asked: Slates) -> int:
    """Real tokens of the longest prompt."""
    some = asked.take(slice(0, 8)).to(ranker.device)
    with torch.no_grad():
        fitted = ranker.fitted(CANDIDATES)
        assert not fitted.note, fitted.note
        tail = ranker.tail(some, SHELF, ranker.evidence(some, SHELF), fitted.evidence)
        prompt = whole_prompt(ranker.head(some, SHELF, fitted.history), tail, causal=True)
    return int(prompt.places.max()) + 1


def questions(rows: int, history: int, candidates: int, seed: int = 0) -> Slates:
    random = generator(seed, "prompt speed")
    drawn = random.permuted(np.tile(np.arange(1_000), (rows, 1)), axis=1)[:, : history + candidates] * 12
    items = torch.from_numpy(drawn)
    latent, evidence = (torch.from_numpy(random.random((rows, candidates), dtype=np.float32)) for _ in range(2))
    return Slates(
        torch.from_numpy(random.standard_normal((rows, WIDTH), dtype=np.float32)),
        items[:, candidates:].contiguous(),
        items[:, :candidates].contiguous(),
        latent + evidence,
        latent,
        torch.from_numpy(random.random((rows, candidates, FACTS), dtype=np.float32)),
    )


def shelf() -> Shelf:
    """Items with titles of 16 words, so that every title can be cut to a length."""
    random = generator(0, "prompt speed shelf")
    words = np.asarray(["".join(chr(97 + one) for one in random.integers(0, 26, 4)) for _ in range(500)])
    titles = [" ".join(words[random.integers(0, 500, 16)]) for _ in range(ITEMS)]
    vectors = torch.from_numpy(random.standard_normal((ITEMS, WIDTH), dtype=np.float32))
    return Shelf(vectors, torch.ones(ITEMS), titles)


def called(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")


TEXTS = [text for text, _ in Layout(shown="segment").pieces]
SHELF = shelf()

if __name__ == "__main__":
    main()
