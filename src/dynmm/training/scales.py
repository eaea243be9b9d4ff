"""How sure of themselves scores are."""

from __future__ import annotations

#: Factors on the scores of stages that were fitted one after the other, with which a loss that stands on them is
#: tried. Such scores are far too sure: at factor 1 the loss mostly teaches to blunt them, and ranks get worse while
#: it falls.
FACTORS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05)
