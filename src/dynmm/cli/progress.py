"""Progress on stderr, the metric beside it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from dynmm.cli.common import quiet

if TYPE_CHECKING:
    from dynmm.backbone.pretraining import EpochReport


class EpochBar:
    """A bar over training epochs that shows loss and validation NDCG@10. Silent with -q."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> EpochBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, report: EpochReport) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=report.epochs, unit="epoch", desc="backbone", disable=quiet())
        self._bar.n = report.epoch
        shown = {"loss": f"{report.loss:.3f}"}
        if report.metric is not None:
            shown["ndcg@10"] = f"{report.metric:.4f}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.refresh()
