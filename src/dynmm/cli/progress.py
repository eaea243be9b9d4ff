"""Progress on stderr, the metric beside it."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dynmm.cli.common import quiet

if TYPE_CHECKING:
    from dynmm.training.reports import EpochReport


#: How many epochs there are is known when the first has ended.
_BEGUN = "{desc}: {n:.1f} epochs {elapsed}"
_GOING = "{desc}: {n:.1f} of {total} epochs |{bar:30}| {elapsed}{postfix}"
_ENCODING = "{desc}: {n:,} of {total:,} |{bar:30}| {elapsed}"

#: Least seconds between two showings of a bar in a file, where each is a line more.
_PAUSE_IN_A_FILE = 10.0

#: What an interrupted fit says, whichever stage it was in.
INTERRUPTED = (
    "interrupted; give the same command again to go on: finished stages and epochs are kept, and what was encoded"
)


class EpochBar:
    """A bar for each stage of a fit: over epochs, with loss and validation NDCG@10, or over contents to encode.

    Silent with -q.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __enter__(self) -> EpochBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def stage(self, name: str) -> None:
        """A stage begins."""
        self._close()
        self._stage = name

    def epoch(self, report: EpochReport) -> None:
        """An epoch ended."""
        bar = self._shown(report.epochs)
        bar.n = report.epoch
        shown = {"loss": f"{report.loss:.3f}"}
        if report.validation is not None:
            shown["ndcg@10"] = f"{report.validation:.4f}"
        bar.set_postfix(shown, refresh=False)
        bar.refresh()

    def progress(self, share: float) -> None:
        """A share of the running epoch is done."""
        bar = self._shown(None)
        bar.n = int(bar.n) + min(share, 0.99)
        bar.update(0)

    def encoding(self, modality: str, done: int, total: int) -> None:
        """So many of the texts, pictures or sounds are encoded."""
        from tqdm import tqdm

        name = f"encoding {modality}"
        if self._bar is None or self._stage != name:
            self.stage(name)
            self._bar = tqdm(total=total, desc=name, disable=quiet(), bar_format=_ENCODING, mininterval=_pause(0.5))
        self._bar.update(done - self._bar.n)

    def _shown(self, epochs: int | None) -> Any:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(desc=self._stage, disable=quiet(), bar_format=_BEGUN, mininterval=_pause(0.5))
        if epochs is not None:
            self._bar.total, self._bar.bar_format = epochs, _GOING
        return self._bar

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class CountBar:
    """A bar over the events of a stream, begun anew for each system. Silent with -q."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._name = ""

    def __enter__(self) -> CountBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __call__(self, name: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if self._bar is None or self._name != name:
            self._close()
            self._bar = tqdm(total=total, unit="event", desc=name, disable=quiet(), mininterval=_pause(0.1))
            self._name = name
        self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _pause(seconds: float) -> float:
    """Seconds between two showings of a bar: as many on a terminal, more in a file."""
    return seconds if sys.stderr.isatty() else _PAUSE_IN_A_FILE
