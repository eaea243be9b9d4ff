"""How fast items are read, looked at and listened to: whole catalogues, and the large encoders by the item.

    DYNMM_DATA=... python benchmarks/encoding_speed.py --out benchmarks/results/encoding_speed.json

Catalogues go the whole way: read, decoded in the worker process, encoded, written to an empty cache; loading the
model counts. The aims are 4,000 posters through MobileNetV2 in 60 s and 12,000 short texts through MiniLM in 90 s,
on 2 cores. CLIP ViT-B/32 and Wav2Vec2-Base have their real sizes and random weights, which take as long as trained
ones. Parts without their data or weights are left out, and the result says why.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from dynmm import Dataset
from dynmm.catalogue.catalogue import Catalogue
from dynmm.catalogue.content import SAMPLE_RATE, Content, Picture, Sound
from dynmm.encoders.acoustic import Acoustic
from dynmm.encoders.clip import Clip
from dynmm.encoders.encoder import Encoder
from dynmm.encoders.running import encode_catalogue
from dynmm.encoders.settings import EncoderSettings
from dynmm.encoders.visual import Visual
from dynmm.encoders.wav2vec2 import Wav2Vec2
from dynmm.randomness import generator
from dynmm.storage import write_json
from dynmm.transformers_library import quiet

POSTERS, TEXTS = 4_000, 12_000
Result = dict[str, Any]


class Left(Exception):
    """A part that cannot run here, and why."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device", default="auto", help="of the large encoders; auto: cpu, and cuda where there is one"
    )
    parser.add_argument("--batches", type=int, default=3, help="measured batches of each large encoder")
    parser.add_argument("--only", default="", help="measure the parts whose name holds this, such as posters")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    parts: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, measure in _parts(Path(place), _devices(arguments.device), arguments.batches).items():
            if arguments.only not in name:
                continue
            try:
                parts[name] = measure()
            except Left as reason:
                parts[name] = {"skipped": str(reason)}
            print(f"{name}: {_told(parts[name])}", flush=True)
    result = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "parts": parts,
    }
    if arguments.out is not None:
        write_json(arguments.out, result)


def _devices(wanted: str) -> list[str]:
    if wanted != "auto":
        return [wanted]
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def _parts(place: Path, devices: Sequence[str], batches: int) -> dict[str, Callable[[], Result]]:
    """What is measured, by name, in the order in which it runs."""
    parts: dict[str, Callable[[], Result]] = {
        "posters, mobilenet": lambda: _posters(f"mobilenet:{_weights('mobilenet-v2')}", place / "1", POSTERS, 60),
        "posters, visual": lambda: _posters("visual", place / "2", POSTERS, None),
        "texts, minilm": lambda: _texts(place / "3"),
        "clips, yamnet": lambda: _clips(f"yamnet:{_weights('yamnet')}", place / "4"),
        "clips, acoustic": lambda: _clips("acoustic", place / "5"),
        "pictures of 400 pixels, visual": lambda: _alone(Visual(), _pictures(16), batches),
        "sounds of 10 s, acoustic": lambda: _alone(Acoustic(), _sounds(8), batches),
    }
    for device in devices:
        parts |= {
            f"pictures of 400 pixels, CLIP ViT-B/32, {device}": _clip(place / "clip", device, batches),
            f"sounds of 10 s, Wav2Vec2-Base, {device}": _wav2vec2(place / "wav2vec2", device, batches),
        }
    return parts


def _posters(encoder: str, cache: Path, many: int, aim: float | None) -> Result:
    catalogue = Catalogue.of(Dataset.load(_data("ml-1m")))
    assert catalogue.media is not None
    result = _whole(catalogue, EncoderSettings(text="off", image=encoder, audio="off"), cache)
    result["seconds_for_4000"] = many / result["items_per_second"]
    return result if aim is None else {**result, "aim_seconds_for_4000": aim}


def _texts(cache: Path) -> Result:
    catalogue = Catalogue.of(Dataset.load(_data("amazon14-beauty")))
    result = _whole(catalogue, EncoderSettings(text="minilm", image="off", audio="off"), cache)
    return {**result, "seconds_for_12000": TEXTS / result["items_per_second"], "aim_seconds_for_12000": 90}


def _clips(encoder: str, cache: Path) -> Result:
    clips = pl.read_parquet(_data("librosa-audio") / "clips.parquet")
    media = clips.select(
        pl.col("clip_id").alias("item_id"),
        pl.lit("audio").alias("modality"),
        pl.lit("ogg").alias("format"),
        pl.col("ogg").alias("bytes"),
    )
    catalogue = Catalogue.from_frames(media.select("item_id"), media)
    return _whole(catalogue, EncoderSettings(text="off", image="off", audio=encoder), cache)


def _whole(catalogue: Catalogue, settings: EncoderSettings, cache: Path) -> Result:
    began = _now()
    (features,) = encode_catalogue(catalogue, settings, cache=cache)
    return _rate(int(features.present.sum()), began)


def _clip(folder: Path, device: str, batches: int) -> Callable[[], Result]:
    def measure() -> Result:
        if not folder.exists():
            library = _library()
            with quiet():
                library.CLIPVisionModelWithProjection(library.CLIPVisionConfig()).save_pretrained(folder)
            processing = importlib.import_module("transformers.models.clip.image_processing_pil_clip")
            processing.CLIPImageProcessorPil().save_pretrained(folder)
        return _alone(Clip(folder, device, words=()), _pictures(32), batches, device)

    return measure


def _wav2vec2(folder: Path, device: str, batches: int) -> Callable[[], Result]:
    def measure() -> Result:
        if not folder.exists():
            library = _library()
            with quiet():
                library.Wav2Vec2Model(library.Wav2Vec2Config()).save_pretrained(folder)
            library.Wav2Vec2FeatureExtractor().save_pretrained(folder)
        return _alone(Wav2Vec2(folder, device), _sounds(4), batches, device)

    return measure


def _library() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise Left("transformers is not installed") from error


def _alone(encoder: Encoder, contents: Sequence[Content], batches: int, device: str = "cpu") -> Result:
    """One batch again and again, already decoded. The first one is not counted."""
    if device == "cuda" and not torch.cuda.is_available():
        raise Left("there is no CUDA device")
    encoder.encode(contents)
    began = _now()
    for _ in range(batches):
        encoder.encode(contents)
    return _rate(batches * len(contents), began)


def _now() -> tuple[float, float]:
    """The clock, and the processors' time of this process and of those that it has ended."""
    used = os.times()
    return time.perf_counter(), used.user + used.system + used.children_user + used.children_system


def _rate(items: int, began: tuple[float, float]) -> Result:
    """Processor seconds say what the work takes where other work shares the cores."""
    seconds, used = (now - then for now, then in zip(_now(), began, strict=True))
    return {"items": items, "seconds": seconds, "cpu_seconds": used, "items_per_second": items / seconds}


def _told(part: Result) -> str:
    if "skipped" in part:
        return f"left out, {part['skipped']}"
    spent = f"{part['seconds']:.2f} s ({part['cpu_seconds']:.2f} s of processors)"
    told = f"{part['items']:,} in {spent}, {part['items_per_second']:.1f} a second"
    aims = [f"{name.removeprefix('aim_')} under {value}" for name, value in part.items() if name.startswith("aim_")]
    return f"{told} (aim: {', '.join(aims)})" if aims else told


def _pictures(count: int) -> list[Content]:
    random = generator(0, "encoding speed", "pictures")
    return [Picture(random.integers(0, 256, (400, 400, 3), dtype=np.uint8), 400, 400) for _ in range(count)]


def _sounds(count: int) -> list[Content]:
    random = generator(0, "encoding speed", "sounds")
    made = (random.normal(0, 0.1, 10 * SAMPLE_RATE).astype(np.float32) for _ in range(count))
    return [Sound(samples, SAMPLE_RATE, 1) for samples in made]


def _data(name: str) -> Path:
    return _there(Path(os.environ.get("DYNMM_DATA", "")) / name, f"DYNMM_DATA does not name a folder with {name}")


def _weights(name: str) -> Path:
    place = Path(os.environ.get("DYNMM_DATA", "")).resolve().parent / "weights" / name
    return _there(place, f"there are no weights/{name} beside the folder that DYNMM_DATA names")


def _there(place: Path, reason: str) -> Path:
    if "DYNMM_DATA" not in os.environ or not place.is_dir():
        raise Left(reason)
    return place


if __name__ == "__main__":
    main()
