from __future__ import annotations

import numpy as np
import pytest

from dynmm.encoders.mel import frames, hann, mel_bands, to_mel


def test_a_thousand_hertz_are_a_thousand_mel() -> None:
    assert to_mel(1000.0) == pytest.approx(1000, abs=0.1)
    assert to_mel(0.0) == 0


def test_triangles_add_up_to_one_between_the_outer_middles() -> None:
    weights = mel_bands(20, 100, 7000, 4096)
    hertz = np.arange(2049) * 16_000 / 4096
    middles = 700 * np.expm1(np.linspace(to_mel(100.0), to_mel(7000.0), 22)[1:-1] / 1127)
    inside = (hertz > middles[0]) & (hertz < middles[-1])
    assert np.allclose(weights[inside].sum(axis=1), 1, atol=1e-6)
    assert not weights[hertz < 100].any()
    assert not weights[hertz > 7000].any()


def test_frames_overlap_and_leave_out_the_rest() -> None:
    cut = frames(np.arange(11, dtype=np.float32), 4, 3)
    assert cut.tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]


def test_hann_windows_half_a_length_apart_add_up_to_one() -> None:
    window = hann(64)
    assert np.allclose(window[:32] + window[32:], 1, atol=1e-6)
