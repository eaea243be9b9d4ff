"""A trained language re-ranker whose model is read by a vLLM server instead of in process."""

from __future__ import annotations

import threading
import time

import torch
from torch import Tensor

from dynmm.errors import ModelError
from dynmm.language.answering import AnswerReadOut
from dynmm.language.ranker import LanguageRanker
from dynmm.language.remote import PAUSES_S, VllmServer
from dynmm.language.slates import Shelf, Slates
from dynmm.memory import OutOfMemory

#: Largest difference of a log-probability that another precision or other kernels explain.
TOLERANCE = 0.25

#: Seconds after which a server is looked at again: another model may stand behind the same name at any time.
LOOK_EVERY_S = 300.0

#: Candidates that are read in process for that.
_LOOKED_AT = 2


class RemoteRanker:
    """Scores by a `LanguageRanker` with an `AnswerReadOut`, its model in a server. See `contracts.Reranker`.

    What it can do: rank in the layout `branch`, a prompt for each candidate, with the scores that the same model gives
    in process, up to precision. What it cannot: train; rank in `listwise`, where one prompt has a read-out at many
    places and the server tells of the last alone; read by an encoder. Each prompt travels whole: a question with C
    candidates sends C N T values of two bytes, a third more as text; 20 candidates of 130 tokens of width 2,048 are
    14 MB, so the server belongs near. vLLM's last digits hang on what else it is asked at the moment.
    """

    def __init__(self, ranker: LanguageRanker, server: VllmServer) -> None:
        """ranker: trained, in evaluation mode; its own model is asked for the vectors of tokens alone.

        Raises ModelError for a ranker that cannot be served so.
        """
        if not isinstance(ranker.readout, AnswerReadOut):
            raise ModelError("a server gives no hidden states: train the ranker with an AnswerReadOut to serve it so")
        if ranker.layout.arrangement != "branch" or not ranker.model.caches:
            raise ModelError("a server tells of a prompt's end alone: it ranks by a causal model in the layout branch")
        self._ranker, self._readout, self._server = ranker, ranker.readout, server

    @torch.no_grad()
    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) float32 raw scores, 0 at padding. Raises ModelError where the server fails."""
        slates = slates.to(self._ranker.device)
        scores = torch.zeros(slates.items.shape)
        present = slates.present.cpu()
        if not bool(present.any()):
            return scores.to(slates.items.device)
        told = self._server.likelihoods(self._prompts(slates, shelf), self._readout.answer)
        scores[present] = self._readout.scaled(told.to(self._ranker.device)).cpu()
        return scores.to(slates.items.device)

    @torch.no_grad()
    def check(self, slates: Slates, shelf: Shelf) -> None:
        """Raise ModelError where the server does not serve this model, or reads these questions otherwise than it."""
        self._server.check()
        own = self._readout.score.weight.abs().cpu()
        told = self(slates, shelf)
        if not bool(torch.isfinite(told).all()):
            raise ModelError(f"the vLLM server at {self._server.url} gave a log-probability that is no finite number")
        apart = (told - self._ranker(slates, shelf)).abs().max().cpu() / own
        if not float(apart) <= TOLERANCE:
            raise ModelError(
                f"the model at {self._server.url} and the one in process differ by {float(apart):.3g} in a "
                "log-probability: they are not the same model"
            )

    def ready(self) -> None:
        """Raise ModelError while the server is left alone. See `VllmServer.ready`."""
        self._server.ready()

    def checked(self) -> Checked:
        """The same, which looks now and then whether the server still serves this model."""
        return Checked(self)

    def _prompts(self, slates: Slates, shelf: Shelf) -> list[Tensor]:
        """The prompt (N, T) of each candidate that is there, row by row."""
        candidates = slates.items.shape[1]
        fitted = self._ranker.fitted(candidates)
        head = self._ranker.head(slates, shelf, fitted.history)
        tail = self._ranker.tail(slates, shelf, self._ranker.evidence(slates, shelf), fitted.evidence)
        shape = (len(slates), candidates, -1)
        blocks = tail.part.tokens.reshape(*shape, tail.part.tokens.shape[2])
        real = tail.part.real.reshape(shape)
        prompts = []
        for row, column in slates.present.nonzero().tolist():
            before = head.tokens[row][head.real[row]]
            prompts.append(torch.cat([before, blocks[row, column][real[row, column]].to(before.dtype)]))
        return prompts


class Checked:
    """A `RemoteRanker` that checks the server before the first question, and again every `LOOK_EVERY_S` seconds."""

    def __init__(self, remote: RemoteRanker) -> None:
        self._remote, self._lock, self._due = remote, threading.Lock(), 0.0
        self._refused: str | None = None

    def __call__(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) float32 raw scores, 0 at padding. Raises ModelError where the server fails or serves another model."""
        asked = slates.present.any(1).nonzero()[:, 0]
        if len(asked):
            self._remote.ready()
            with self._lock:
                self._look(slates.take(asked[:1]), shelf)
        return self._remote(slates, shelf)

    def _look(self, slates: Slates, shelf: Shelf) -> None:
        """By a question with candidates. What a look found out holds for all who wait for it, a refusal for a while."""
        if time.monotonic() < self._due:
            if self._refused is not None:
                raise ModelError(self._refused)
            return
        columns = torch.arange(min(_LOOKED_AT, slates.items.shape[1]), device=slates.items.device)
        self._refused = None
        try:
            self._remote.check(slates.places(columns[None]), shelf)
        except OutOfMemory:
            raise
        except ModelError as error:
            self._refused, self._due = str(error), time.monotonic() + PAUSES_S[0]
            raise
        self._due = time.monotonic() + LOOK_EVERY_S
