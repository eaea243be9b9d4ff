"""Re-ranking by a frozen language model: soft tokens go in, and a read-out at each candidate's own token comes out.

One forward and no generated text. Trained are the projectors, the evidence encoder and the read-out; the model that
they stand around is no part of this module's state. B questions, C candidates, D width of the joint latent, T token
width, F' features of a candidate.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from dynmm.language.contracts import FrozenModel
from dynmm.language.inputs import CandidateFeatures
from dynmm.language.layout import FittedPrompt, Layout, fit_prompt
from dynmm.language.prompt import Part, Tail, branches, head_prompt, listed, tail_prompt, whole_prompt
from dynmm.language.segment import strongest
from dynmm.language.slates import NOBODY, Shelf, Slates
from dynmm.language.soft import Encoder, Projector, ReadOut
from dynmm.language.texts import Texts

logger = logging.getLogger(__name__)

#: The evidence encoder's inner layer is so many times narrower: facts are few numbers, and read for each candidate.
FEWER = 4

#: Titles that tell how long the model's own tokens are.
_MEASURED_TITLES = 256


class LanguageRanker(nn.Module):
    """Scores candidates by reading them, the user and the history as soft tokens of a frozen model.

    With a layout that shows no evidence it is the base aligner alone (the shape of A-LLMRec): user, history and
    candidate tokens. The paper's prompt is a layout that is listwise, with titles and an evidence segment.
    An untrained one gives 0. Untrained weights come from torch's own generator, which the caller seeds.
    """

    features: CandidateFeatures | None
    encoder: Encoder | None

    def __init__(
        self, model: FrozenModel, layout: Layout, width: int, facts: int, *, hidden: int = 256, dropout: float = 0.0
    ) -> None:
        """width: D. facts: of the slates. hidden: width of the projectors' inner layers; see `FEWER`."""
        super().__init__()
        # In a tuple, so that neither its parameters nor its state become this module's.
        self._frozen = (model,)
        self.layout = layout
        self.users = Projector(width, hidden, model.width, dropout)
        self.items = Projector(width, hidden, model.width, dropout)
        self.readout = ReadOut(model.width, dropout)
        self.features, self.encoder = None, None
        if layout.shown != "none":
            # What a candidate is compared with must not change its score, so that order cannot matter.
            self.features = CandidateFeatures(facts, relative=False)
            self.encoder = Encoder(self.features.width, max(1, hidden // FEWER), model.width, dropout)
        self._texts = Texts(model)
        self._fitted: dict[int, FittedPrompt] = {}
        self._identity: tuple[tuple[int, ...], str] = ((), "")

    @property
    def model(self) -> FrozenModel:
        """What it reads with."""
        return self._frozen[0]

    @property
    def device(self) -> torch.device:
        """Where the trained parts are; the model must be there, too."""
        return self.readout.score.weight.device

    @property
    def identity(self) -> str:
        """sha256 over every trained value, by name."""
        state = self.state_dict(keep_vars=True)
        # Every write to a tensor counts up its version: a look at these is cheaper than a hash for each request.
        version = tuple(number for one in state.values() for number in (one.data_ptr(), one._version))
        if self._identity[0] != version:
            digest = hashlib.sha256()
            for name, value in sorted(state.items()):
                digest.update(name.encode() + b"\0" + value.detach().float().cpu().contiguous().numpy().tobytes())
            self._identity = (version, digest.hexdigest())
        return self._identity[1]

    def fitted(self, candidates: int) -> FittedPrompt:
        """What of the layout fits beside so many candidates; what does not is logged once. Raises ModelError."""
        if candidates not in self._fitted:
            fitted = fit_prompt(
                self.layout, self._texts.count, self.model.context, candidates, begins=self._texts.begins
            )
            if fitted.note and all(fitted.note != one.note for one in self._fitted.values()):
                logger.warning("%s", fitted.note)
            self._fitted[candidates] = fitted
        return self._fitted[candidates]

    @torch.no_grad()
    def fit(self, slates: Slates, shelf: Shelf) -> None:
        """Standardise what comes in by these questions, and give untrained soft tokens the norm of real ones.

        To be called once, before training.
        """
        training = self.training
        self.eval()
        texts = [text for text, _ in self.layout.pieces]
        titles = [title for title in shelf.titles if title]
        titles = titles[:: max(1, len(titles) // _MEASURED_TITLES)]
        norm = self._texts.norm([*texts, *titles], self.device)
        self.users.fit(slates.users, norm)
        self.items.fit(shelf.vectors, norm)
        if self.features is not None and self.encoder is not None:
            self.features.fit(slates, shelf)
            some = slates.take(slice(0, 256)).to(self.device)
            self.encoder.scale(self.features(some, shelf)[some.present], norm)
        self.train(training)

    def forward(self, slates: Slates, shelf: Shelf) -> Tensor:
        """(B, C) float32 scores, 0 at padding."""
        return self.score(slates, shelf, self.evidence(slates, shelf))

    def evidence(self, slates: Slates, shelf: Shelf) -> Tensor | None:
        """What the model is shown of the facts, (B, C, F') float32; None where the layout shows none."""
        return None if self.features is None else self.features(slates.to(self.device), shelf)

    def score(self, slates: Slates, shelf: Shelf, evidence: Tensor | None) -> Tensor:
        """(B, C) float32 scores, 0 at padding, with the evidence given: that of others, or none."""
        slates = slates.to(self.device)
        candidates = slates.items.shape[1]
        if not slates.items.numel():
            return torch.zeros(slates.items.shape, device=self.device)
        fitted = self.fitted(candidates)
        head = self.head(slates, shelf, fitted.history)
        if fitted.at_once < candidates and self.model.caches:
            return self.score_after(slates, shelf, evidence, head.real, self.run_head(head))
        found, order = [], self._order(slates)
        for tail in self._tails(slates, shelf, evidence, fitted, order):
            prompt = whole_prompt(head, tail, causal=self.model.caches)
            hidden, _ = self.model.run(prompt.embeddings, prompt.visible, prompt.places)
            found.append(self.read(hidden, tail.slots + head.real.shape[1]))
        return _put_back(torch.cat(found, 1), order).masked_fill(~slates.present, 0.0)

    def run_head(self, head: Part) -> Any:
        """The states of a head, for `score_after`. Raises ModelError for a model that keeps none."""
        prompt = head_prompt(head, causal=self.model.caches)
        _, past = self.model.run(prompt.embeddings, prompt.visible, prompt.places, keep=True)
        return past

    def score_after(self, slates: Slates, shelf: Shelf, evidence: Tensor | None, real: Tensor, past: Any) -> Tensor:
        """`score` of slates on this module's device whose heads are read already.

        real: (B, P) bool, of the heads. past: their states.
        """
        found, order = [], self._order(slates)
        for tail in self._tails(slates, shelf, evidence, self.fitted(slates.items.shape[1]), order):
            prompt = tail_prompt(real, tail)
            hidden, _ = self.model.run(prompt.embeddings, prompt.visible, prompt.places, past)
            found.append(self.read(hidden, tail.slots))
        return _put_back(torch.cat(found, 1), order).masked_fill(~slates.present, 0.0)

    def _order(self, slates: Slates) -> Tensor:
        """(B, C) the places of candidates in the order in which they are read.

        Branches are read by item out of training: the place in a product changes the last bits of what comes out, in
        half precision so many that an order could change, and no place given to a candidate may matter.
        """
        items = slates.items
        if self.training or self.layout.arrangement != "branch":
            return torch.arange(items.shape[1], device=items.device).expand_as(items)
        return items.masked_fill(~slates.present, torch.iinfo(items.dtype).max).argsort(dim=1, stable=True)

    def _tails(
        self, slates: Slates, shelf: Shelf, evidence: Tensor | None, fitted: FittedPrompt, order: Tensor
    ) -> Iterator[Tail]:
        """One for each pass."""
        for start in range(0, order.shape[1], fitted.at_once):
            some = order[:, start : start + fitted.at_once]
            shown = None
            if evidence is not None:
                shown = evidence.gather(1, some[..., None].expand(-1, -1, evidence.shape[2]))
            yield self.tail(slates.places(some), shelf, shown, fitted.evidence)

    def head(self, slates: Slates, shelf: Shelf, history: int) -> Part:
        """System, user and the newest items of the history, of slates on this module's device."""
        rows, texts = len(slates), self.layout.texts
        items = self.newest(slates, history)
        user = self.users(slates.users)[:, None]
        return Part.joined(
            [
                Part.text(self._texts.vectors(texts["user"], self.device, first=True), rows),
                Part(user, torch.ones(rows, 1, dtype=torch.bool, device=user.device)),
                self._text(texts["history"], rows),
                Part(self._tokens(items, shelf), items != NOBODY),
                self._text(texts["evidence" if "evidence" in texts else "candidates"], rows),
            ],
            self._dtype,
        )

    def newest(self, slates: Slates, history: int) -> Tensor:
        """(B, N) the items of the history that a head of so many reads."""
        items = slates.history[:, max(0, slates.history.shape[1] - history) :]
        if not self.training:
            return items
        # Leading holes that all rows share cost time. Out of training they stay: a row's shape, and with it the last
        # bit of its score, must not depend on the others.
        used = (items != NOBODY).any(0)
        return items[:, int((~used).int().cumprod(0).sum()) :]

    def tail(self, slates: Slates, shelf: Shelf, evidence: Tensor | None, facts: int) -> Tail:
        """Evidence and candidates, of slates on this module's device.

        evidence: (B, C, F') or None. facts: E, most tokens of the segment.
        """
        tokens, shape = self._tokens(slates.items, shelf), slates.items.shape
        branching, segment = self.layout.arrangement == "branch", None
        if self.layout.shown == "segment":
            segment = self._segment(slates, tokens, evidence, facts)
        elif self.encoder is not None and evidence is not None:
            tokens = tokens + self._encoded(evidence)
        parts = [Part(tokens.flatten(0, 1)[:, None], slates.present.flatten()[:, None])]
        if self.layout.titles:
            parts.insert(0, self._texts.titles(slates.items.flatten(), shelf, self.layout.titles))
        if segment is not None and branching:
            parts.insert(0, segment)
        block = Part.joined(parts, self._dtype)
        blocks = block.tokens.view(*shape, *block.tokens.shape[1:])
        real = block.real.view(*shape, -1) & slates.present[..., None]
        if branching:
            return branches(blocks, real, causal=self.model.caches)
        return listed(segment, blocks, real)

    def read(self, hidden: Tensor, slots: Tensor) -> Tensor:
        """Last hidden states (B, N, T) to scores at these places: (B, C) float32."""
        out: Tensor = self.readout(hidden[:, slots])
        return out

    def _segment(self, slates: Slates, tokens: Tensor, evidence: Tensor | None, facts: int) -> Part:
        """Evidence tokens and the text behind them: a row for each candidate in `branch`, else for each slate."""
        assert self.features is not None, "a segment shows features"
        if evidence is None:
            evidence = tokens.new_zeros(*slates.items.shape, self.features.width)
        present = slates.present
        if self.layout.arrangement == "branch":
            evidence, tokens = evidence.flatten(0, 1)[:, None], tokens.flatten(0, 1)[:, None]
            present = present.flatten()[:, None]
        told = strongest(evidence, present, tokens, facts, self._encoded)
        closing = self._text(self.layout.texts["candidates"], len(present))
        return Part.joined([told, closing], self._dtype)

    def _encoded(self, evidence: Tensor) -> Tensor:
        assert self.encoder is not None, "evidence is shown"
        out: Tensor = self.encoder(evidence)
        return out

    def _tokens(self, items: Tensor, shelf: Shelf) -> Tensor:
        """Soft tokens of items (B, N), (B, N, T); those of padding mean nothing."""
        vectors = shelf.vectors[items.clamp(min=0).to(shelf.vectors.device)].to(self.device)
        out: Tensor = self.items(vectors)
        return out

    def _text(self, text: str, rows: int) -> Part:
        return Part.text(self._texts.vectors(text, self.device), rows)

    @property
    def _dtype(self) -> torch.dtype:
        return self._texts.vectors(self.layout.pieces[0][0], self.device).dtype


def _put_back(scores: Tensor, order: Tensor) -> Tensor:
    """(B, C) scores that were read in an order, at the places that they belong to."""
    return torch.empty_like(scores).scatter(1, order, scores)
