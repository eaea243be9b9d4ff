"""Reasons worded by the frozen language model, checked claim by claim, in plain words where the check fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dynmm.assembly.rankers import Frozen, keep_model, place_of_saved, reopen_frozen
from dynmm.errors import ArtefactError, reason
from dynmm.language.remote import TIMEOUT_S, VllmServer
from dynmm.language.remote_writer import RemoteWriter
from dynmm.language.settings import LanguageSettings
from dynmm.language.writing import Order, Writer, WritingReport, Written
from dynmm.making_once import made_once
from dynmm.rationale.rewording import facts_for_prompt, phrase_of, reworded
from dynmm.storage import named_disk_errors, write_json
from dynmm.types import Rationale

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynmm.interactions.dataset import DatasetInfo

VOICE_DIR = "voice"
_CARD = "voice.json"


@dataclass(eq=False)
class Voice:
    """A language model that words reasons.

    language, seed: what it was made under. report: of all texts since it was made or loaded, how many are the model's,
    and why the others are not.
    """

    frozen: Frozen
    language: LanguageSettings
    seed: int
    report: WritingReport = field(default_factory=lambda: WritingReport(0, {}), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @made_once
    def writer(self) -> Writer | RemoteWriter:
        """Writes with it, in process or by the server that is configured. Raises ModelError for an encoder."""
        deadline = self.language.words_deadline_ms
        if self.language.server is not None:
            patience = TIMEOUT_S if deadline is None else deadline / 1000
            server = VllmServer(self.language.server, self.language.served_as, timeout_s=patience)
            return RemoteWriter(self.frozen.model, server)  # type: ignore[arg-type]
        return Writer(self.frozen.model, deadline_ms=deadline)  # type: ignore[arg-type]

    def worded(
        self, rationale: Rationale, info: DatasetInfo, holds: Callable[[Rationale], bool]
    ) -> tuple[Rationale, Written | None]:
        """The rationale in the model's words where they are verified, else as it is; and what was written.

        holds: whether every claim recomputes from the stores. A rationale without a claim is left as it is.
        """
        if rationale.abstains:
            return rationale, None

        def check(text: str) -> bool:
            told = reworded(rationale, text, info)
            return told is not None and holds(told)

        order = Order(facts_for_prompt(rationale), phrase_of(rationale, info), rationale.text, check)
        written = self.writer.write(order)
        with self._lock:
            self.report += WritingReport.of([written])
        if written.why is not None:
            return rationale, written
        told = reworded(rationale, written.text, info)
        assert told is not None, "what was written has been checked"
        return told, written


def save_voice(voice: Voice, folder: Path) -> None:
    """Write which model it is, and a compact one beside it. Raises StorageError."""
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if voice.frozen.folder is not None:
        keep_model(voice.frozen.folder, folder)
    card: Mapping[str, Any] = {
        "identity": voice.frozen.model.identity,
        "files": dict(voice.frozen.files),
        "language": voice.language.model_dump(mode="json"),
        "seed": voice.seed,
    }
    write_json(folder / _CARD, card)


def load_voice(folder: Path, device: torch.device) -> Voice:
    """Read what `save_voice` wrote. Raises ArtefactError, and ModelError for a model that is not there."""
    try:
        card = json.loads((folder / _CARD).read_bytes())
        language, seed = LanguageSettings.model_validate(card["language"]), int(card["seed"])
        identity, files = str(card["identity"]), dict(card["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(
            f"the voice in {folder} cannot be read: {reason(error)}; copy the run again, or fit it again"
        ) from error
    frozen = reopen_frozen(place_of_saved(language, folder), language, identity, files, seed, device)
    return Voice(frozen, language, seed)
