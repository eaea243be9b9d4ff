"""What holds for every test: one compute thread for each worker, and the same examples in every CI run."""

from __future__ import annotations

import os

# Before anything imports torch or NumPy. Workers run side by side, so more threads would only compete.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
