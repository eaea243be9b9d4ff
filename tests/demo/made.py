"""What the tests of the demo share."""

from __future__ import annotations

from typing import Any

from tests.worlds import QUICK

#: In worlds this small validation may give facts no weight; here they always have some, so that there are reasons.
REASONED: dict[str, Any] = {**QUICK, "evidence": {"strengths": [1.0]}, "language": {"pretrain_steps": 2}}

#: Of this small world, so that some recommendations are owed to a single sense on any machine.
STAYS = 5
