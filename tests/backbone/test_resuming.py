"""A fit that was broken off at any moment ends with the bits of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.backbone.cycles import QUICK, ring_dataset

from dynmm.backbone.pretraining import Pretrained, pretrain
from dynmm.backbone.settings import BackboneSettings
from dynmm.training.reports import EpochReport

SETTINGS = QUICK.model_copy(update={"epochs": 6, "patience": 6})
SAMPLED = SETTINGS.model_copy(update={"loss": "sampled", "negatives": 10})
ROOT = Path(__file__).parents[2]


def _fit(
    folder: Path | None, settings: BackboneSettings = SETTINGS, stop_after: int | None = None, seed: int = 3
) -> Pretrained:
    def stop(report: EpochReport) -> None:
        if report.epoch == stop_after:
            raise KeyboardInterrupt

    return pretrain(ring_dataset(80, with_validation=True), settings, seed, checkpoint_dir=folder, on_epoch=stop)


def _assert_same(one: Pretrained, other: Pretrained) -> None:
    assert one.best_epoch == other.best_epoch
    assert [(r.loss, r.validation) for r in one.history] == [(r.loss, r.validation) for r in other.history]
    for name, value in one.weights.items():
        assert torch.equal(value, other.weights[name]), name


@pytest.mark.parametrize("settings", [SETTINGS, SAMPLED], ids=["full", "sampled"])
def test_interrupted_twice_ends_with_the_same_bits(tmp_path: Path, settings: BackboneSettings) -> None:
    for stop_after in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            _fit(tmp_path, settings, stop_after)
    _assert_same(_fit(tmp_path, settings), _fit(None, settings))


def test_interrupted_within_an_epoch_ends_with_the_same_bits(tmp_path: Path) -> None:
    steps = 0

    def stop(share: float) -> None:
        nonlocal steps
        steps += 1
        if steps == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(ring_dataset(80, with_validation=True), SETTINGS, 3, checkpoint_dir=tmp_path, on_progress=stop)
    _assert_same(_fit(tmp_path), _fit(None))


@pytest.mark.slow
def test_killed_ends_with_the_same_bits(tmp_path: Path) -> None:
    script = (
        "import time, pathlib, tests.backbone.test_resuming as here\n"
        "here.pretrain(here.ring_dataset(80, with_validation=True), here.SETTINGS, 3,\n"
        f"    checkpoint_dir=pathlib.Path({str(tmp_path)!r}), on_progress=lambda share: time.sleep(0.05))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "epoch-2").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert process.poll() is None, "the fit ended before it could be killed"
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    resumed_from: list[int] = []
    resumed = pretrain(
        ring_dataset(80, with_validation=True),
        SETTINGS,
        3,
        checkpoint_dir=tmp_path,
        on_epoch=lambda report: resumed_from.append(report.epoch),
    )
    assert resumed_from[0] > 1
    _assert_same(resumed, _fit(None))


def test_a_finished_fit_is_not_fitted_again(tmp_path: Path) -> None:
    first = _fit(tmp_path)
    epochs: list[int] = []
    again = pretrain(
        ring_dataset(80, with_validation=True),
        SETTINGS,
        3,
        checkpoint_dir=tmp_path,
        on_epoch=lambda report: epochs.append(report.epoch),
    )
    assert epochs == []
    _assert_same(first, again)


def test_the_checkpoint_of_another_fit_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _fit(tmp_path, stop_after=4)
    _assert_same(_fit(tmp_path, seed=4), _fit(None, seed=4))


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing", "pointer"])
def test_a_damaged_checkpoint_is_reported_and_started_anew(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        _fit(tmp_path, stop_after=3)
    (state,) = tmp_path.glob("epoch-*/state.safetensors")
    content = bytearray(state.read_bytes())
    if damage == "truncated":
        state.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        content[-1] ^= 1
        state.write_bytes(content)
    elif damage == "missing":
        state.unlink()
    else:
        (tmp_path / "progress.json").write_text('{"identity": ')
    with caplog.at_level("WARNING", logger="dynmm"):
        resumed = _fit(tmp_path)
    assert "cannot be used" in caplog.text
    _assert_same(resumed, _fit(None))


def test_only_the_newest_and_the_best_stay_on_disk(tmp_path: Path) -> None:
    fitted = _fit(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"progress.json", "epoch-6", f"best-{fitted.best_epoch}"}
