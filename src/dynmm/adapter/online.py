"""The adapter through a stream: it observes events on the state before them, learns at boundaries, and serves versions.

Versions are told from the base by what both rank first among all items, whether they serve or not.

Everything follows from the events and their order. The same events, whole or in pieces, and with stops in between,
give the same bits. N events, C items, I items of the catalogue, D width, P projected latents.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from dynmm.adapter.guard import Guard
from dynmm.adapter.learning import Rule, Weights, gained, losses, scores, shifts, step
from dynmm.adapter.lessons import Asked, Lesson, Reservoir, slate
from dynmm.adapter.model import Shape
from dynmm.adapter.settings import AdapterSettings
from dynmm.adapter.space import MovedSpace
from dynmm.adapter.summaries import PLAIN, ItemSummaries, context_of, principal
from dynmm.adapter.windows import Windows
from dynmm.protocols import VectorSpace
from dynmm.randomness import derive_seed, generator, uniform
from dynmm.training.scales import FACTORS
from dynmm.types import FloatArray, IntArray

logger = logging.getLogger(__name__)

Arrays = dict[str, NDArray[np.generic]]

#: How much of what `FACTORS` reached is kept to the next window.
_FACTOR_MEMORY = 0.95
#: A weight that moves further than this in one boundary is a sign of a broken update.
_WILD = 10.0


class OnlineAdapter:
    """Observes, learns and serves. `trial` is what may rank next, `space` what ranks: it stays as it is, and what is
    learned puts another in its place, whole, so that others may rank meanwhile."""

    def __init__(
        self,
        base: VectorSpace,
        collaborative: Tensor,
        settings: AdapterSettings,
        seed: int,
        *,
        window_ms: int | None,
    ) -> None:
        """collaborative: (I, D) what is known of items from interactions, guessed for those without. window_ms: of a
        window as configured; None where the events have no time."""
        self.settings, self._seed = settings, seed
        paper = settings.variant == "paper"
        width = base.width
        self._projection = principal(base.item_vectors.cpu(), settings.dims)
        self._shape = Shape(width, PLAIN + self._projection.shape[1], settings.hidden, settings.gate)
        draws = torch.Generator().manual_seed(derive_seed(seed, "adapter"))
        start = self._shape.first_weights(draws, gate_bias=0.0 if paper else settings.gate_bias, zero=not paper)
        self.weights, self._start = Weights.begin(start), start
        self.summaries = ItemSummaries(len(base.item_vectors), self._projection.shape[1], settings.half_life)
        self.reservoir = Reservoir(settings.replay)
        self.guard, self.rival = Guard(settings.guard_events), Guard(settings.guard_events)
        self.windows = Windows(settings, window_ms, watch=settings.drift and not paper)
        self.trial = MovedSpace(base, *self._known(base, collaborative), self._shape, settings)
        self.space: VectorSpace = base
        #: Weights by version, the newest few. Version 0 is the base as it is.
        self.kept: dict[int, Tensor] = {}
        #: By version, events counted and the newest moment when it was made.
        self.made: dict[int, tuple[int, int | None]] = {}
        self.version, self.candidate = 0, 0
        #: The version that was gone back to, until a new one has proved itself against it in `rival`; else 0.
        self.floor = 0
        #: The version that `trial` holds: the one that serves or, where the base does, the newest that was tested.
        self.on_trial = 0
        self.learned, self.refused = 0, 0
        self._share_seed = derive_seed(seed, "adapter share")
        self._tried = np.zeros(len(FACTORS))
        self._meetings: list[tuple[int, FloatArray]] = []
        #: Of the window that is open; and of earlier ones, which tested what served, but have taught nothing yet.
        self._waiting: list[Lesson] = []
        self._gathered: list[Lesson] = []
        if paper:
            self._serve(1, start)

    def with_items(self, base: VectorSpace, collaborative: Tensor) -> OnlineAdapter:
        """One that goes on from here with items that came; this one stays as it is."""
        twin = copy.copy(self)
        twin.weights, twin.kept, twin.made = self.weights.copy(), dict(self.kept), dict(self.made)
        twin.reservoir, twin.guard, twin.rival = copy.deepcopy((self.reservoir, self.guard, self.rival))
        twin.windows = self.windows.copy()
        twin._waiting, twin._gathered = [*self._waiting], [*self._gathered]
        twin._meetings, twin._tried = list(self._meetings), self._tried.copy()
        twin.summaries = copy.deepcopy(self.summaries)
        twin._widen(base, collaborative)
        return twin

    def _widen(self, base: VectorSpace, collaborative: Tensor) -> None:
        self.summaries.widen(len(base.item_vectors))
        moved = self.trial
        wider = MovedSpace(base, *self._known(base, collaborative), self._shape, self.settings)
        wider.now = moved.now
        # Others stand where they stood until the window ends.
        self._publish(wider.serving(moved.weights, moved.hot, moved.moved()))

    def _publish(self, trial: MovedSpace) -> None:
        """Let this be on trial and, unless the base serves, rank."""
        self.trial = trial
        self.space = trial if self.version else trial.base

    @property
    def counted(self) -> int:
        """Events so far."""
        return self.summaries.clock

    @property
    def versions(self) -> tuple[int, ...]:
        """Versions that can be gone back to, 0 the base among them."""
        return (0, *self.kept)

    def due(self, moment: int | None, *, ahead: int = 0) -> bool:
        """Whether a window ends before an event at this moment, or enough events have come.

        moment: ms UTC. ahead: events before it that are not counted yet.
        """
        return self.windows.due(moment, ahead)

    def wants(self, position: int, user: int) -> bool:
        """Whether the event at this place of the stream is to be observed."""
        if not self.windows.room_for(user):
            return False
        share = self.settings.share
        return share >= 1.0 or uniform(self._share_seed, position) < share

    def observe(self, user: int, item: int, asked: Asked) -> None:
        """An event that is about to be counted. asked: what its user would have been asked just before.

        Several may be observed before the first of them is counted: then they do not know of each other.
        """
        query = asked.query
        settings, position = self.settings, self.counted
        context = context_of(query.history, self.trial.latents)
        if settings.variant == "paper":
            # As the paper's windows, which hold the event that they are to predict.
            self.summaries.meet(item, context)
        candidates, standing = slate(
            item,
            self._best(asked),
            query.exclude,
            generator(self._seed, "adapter negatives", position).integers(
                0, self.summaries.n_items, settings.negatives
            ),
            room=settings.near + settings.lifted,
            n_items=self.summaries.n_items,
        )
        histories, moments = [query.history], [query.as_of]
        users = asked.user(self.trial.base).detach().cpu()
        lesson = Lesson(
            people=torch.tensor([user]),
            users=users,
            seen=torch.from_numpy(self.trial.users.read(histories, moments)),
            active=torch.from_numpy(self.trial.users.activity(histories, moments)),
            items=torch.from_numpy(candidates)[None],
            known=torch.from_numpy(self.summaries.read(candidates))[None],
            moving=torch.from_numpy(self.summaries.activity(candidates, settings.active))[None],
            beside=torch.from_numpy(np.asarray(asked.beside(candidates), dtype=np.float32))[None],
            standing=torch.from_numpy(standing.astype(np.float32))[None],
        )
        if lesson.sound:
            self._waiting.append(lesson)
        else:  # what is measured with it would be no number for good
            self.refused += 1
            logger.warning("an event is asked with numbers that are not finite, and teaches the adapter nothing")
        self.windows.observe(user)
        if settings.variant != "paper":
            self._meetings.append((item, context))

    def count(self, items: IntArray, moment: int | None) -> None:
        """Events that have happened, in their order. moment: of the newest, ms UTC."""
        for item, context in self._meetings:
            self.summaries.meet(item, context)
        self._meetings = []
        self.summaries.advance(items)
        self.windows.count(len(items), moment)
        if moment is not None:
            self.trial.now = max(moment, self.trial.now or moment)

    def boundary(self, moment: int | None) -> None:
        """A window has ended: prove the candidate on it, serve what has proved itself, and learn if enough is gathered.

        moment: of the event that begins the next window, ms UTC.
        """
        lessons, self._waiting = self._waiting, []
        tested = self.candidate
        self.windows.end(moment)
        if lessons:
            window = Lesson.joined(lessons)
            self._prove(window)
            self._learn(window)
        self._try(self.version or tested)
        self.windows.learned(self.counted)

    def roll_back(self, version: int) -> None:
        """Serve an earlier version until a new one, learned from there, has proved itself. version: one of `versions`.

        Nothing that was observed before teaches any more: what is fled from may be in it.
        """
        self.weights = Weights.begin(self.kept.get(version, self._start))
        self.version, self.candidate, self.floor = version, 0, version
        self.guard, self.rival = Guard(self.settings.guard_events), Guard(self.settings.guard_events)
        self.reservoir = Reservoir(self.settings.replay)
        self._waiting, self._gathered = [], []
        self._try(version)

    def _try(self, version: int) -> None:
        """Put everything where this version has it."""
        self.on_trial = version
        self._publish(self.trial.refreshed(self.kept.get(version), self.summaries))

    @property
    def factor(self) -> float:
        """What scores are multiplied by in the loss: what has served best of late, before any learning."""
        return FACTORS[int(np.argmin(self._tried))]

    def _prove(self, window: Lesson) -> None:
        """The base and the candidate on events that neither has learned from."""
        vectors = self._vectors(window)
        still = torch.zeros_like(window.users), torch.zeros_like(vectors)
        with torch.no_grad():
            base = scores(*still, window, vectors)
            reached = [float(losses(base, window, factor).sum()) for factor in FACTORS]
            self._tried = _FACTOR_MEMORY * self._tried + np.asarray(reached)
            self.windows.drift.add(float(losses(base, window, self.factor).mean()))
            if not self.candidate:
                return
            own = self._gained(self.candidate, window, vectors)
            self.guard.add((own - gained(base, window, self.settings.lifted)).tolist())
            if self.floor:
                self.rival.add((own - self._gained(self.floor, window, vectors)).tolist())
        if not self.settings.guard or self.settings.variant == "paper":
            return
        proven = self.guard.passes and (not self.floor or self.rival.passes)
        self.version, self.floor = (self.candidate, 0) if proven else (self.floor, self.floor)
        if self.version:
            self.weights.anchor = self.kept[self.version].clone()

    def _gained(self, version: int, window: Lesson, vectors: Tensor) -> Tensor:
        """(N,) what a version has of each event, see `gained`."""
        found = scores(*shifts(self._shape, self.kept[version], window, self._read(window)), window, vectors)
        return gained(found, window, self.settings.lifted)

    def _learn(self, window: Lesson) -> None:
        """As many steps for every so many events: a quiet hour of one user's must not teach what a busy day does."""
        settings, number = self.settings, self.windows.ended + 1
        paper = settings.variant == "paper"
        gathered = Lesson.joined([*self._gathered, window])
        size = len(gathered) if paper else settings.step_events
        taught = len(gathered) // size * size
        self._gathered = [gathered.take(range(taught, len(gathered)))] if taught < len(gathered) else []
        if not taught:
            return
        before = self.weights.copy()
        draws = generator(self._seed, "adapter boundary", number)
        factor = 1.0 if paper else self.factor
        rule = Rule.of(settings)
        for start in range(0, taught, size):
            fresh = gathered.take(range(start, start + size))
            for _ in range(settings.steps):
                some = fresh.take(np.sort(draws.permutation(size)[: settings.step_events]).tolist())
                replayed = self.reservoir.drawn(settings.step_events, draws)
                lesson = some if replayed is None else Lesson.joined([some, replayed])
                step(self._shape, self.weights, lesson, self._read(lesson), self._vectors(lesson), factor, rule)
            self.reservoir.add(fresh, draws)
        self.learned += taught
        if self._keep(before, number) and self.version == number:
            self.weights.anchor = self.weights.ema.clone()

    def _keep(self, before: Weights, number: int) -> bool:
        """A new candidate, unless the update is broken: then the weights are those of before."""
        wild = (self.weights.raw - before.raw).abs().max()
        if not self.weights.sound or float(wild) > _WILD:
            self.refused += 1
            self.weights = before
            logger.warning("an update of the adapter is not finite or far too large, and is not kept")
            return False
        tested, self.candidate = self.candidate, number
        self.kept[number], self.made[number] = self.weights.ema.clone(), (self.counted, self.trial.now)
        if not self.settings.guard or self.settings.variant == "paper":
            self.version, self.floor = number, 0
        # What was tested stays, however few are kept: it may be what is tried next.
        for old in sorted(self.kept)[: -self.settings.versions]:
            if old not in (self.version, self.on_trial, tested):
                del self.kept[old], self.made[old]
        return True

    def _serve(self, number: int, weights: Tensor) -> None:
        self.kept[number], self.made[number] = weights.clone(), (0, None)
        self.version = self.candidate = number
        self._try(number)

    def _vectors(self, lesson: Lesson) -> Tensor:
        return self.trial.base.item_vectors.cpu()[lesson.items]

    def _read(self, lesson: Lesson) -> Tensor:
        return self.trial.collaborative[lesson.items]

    def _best(self, asked: Asked) -> IntArray:
        """What the base and the version on trial rank first: what is lifted from far below must be seen, too."""
        best = np.asarray(asked.best(self.trial.base, self.settings.near), np.int64)
        if not self.on_trial:
            return best
        lifted = np.asarray(asked.best(self.trial, self.settings.lifted), np.int64)
        return np.concatenate([best, lifted[~np.isin(lifted, best)]])

    def _known(self, base: VectorSpace, collaborative: Tensor) -> tuple[Tensor, NDArray[np.float32]]:
        unit = normalize(collaborative.float().cpu(), dim=-1)
        latents = (base.item_vectors.cpu() @ self._projection).numpy().astype(np.float32)
        return unit, latents

    def arrays(self) -> Arrays:
        """Everything that is an array, by name, for a snapshot."""
        found: Arrays = {f"weights.{name}": one.numpy() for name, one in self.weights.tensors().items()}
        found |= {f"summaries.{name}": array for name, array in self.summaries.arrays().items()}
        found |= {f"version.{number}": flat.numpy() for number, flat in self.kept.items()}
        found["hot"], found["moved"] = self.trial.hot, self.trial.moved().numpy()
        if self.reservoir.kept is not None:
            found |= self.reservoir.kept.arrays("replay")
        for name, some in (("waiting", self._waiting), ("gathered", self._gathered)):
            if some:
                found |= Lesson.joined(some).arrays(name)
        found["tried"] = self._tried
        return found

    def card(self) -> dict[str, Any]:
        """Everything else, as JSON, for a snapshot."""
        return {
            "steps": self.weights.steps,
            "version": self.version,
            "candidate": self.candidate,
            "floor": self.floor,
            "made": sorted((number, *told) for number, told in self.made.items()),
            "on_trial": self.on_trial,
            "learned": self.learned,
            "refused": self.refused,
            "met": self.reservoir.met,
            "guard": self.guard.state(),
            "rival": self.rival.state(),
            "now": self.trial.now,
            "windows": self.windows.state(),
            "unsettled": sorted((number, *one) for number, one in self.windows.unsettled.items()),
        }

    def restore(self, arrays: Mapping[str, NDArray[np.generic]], card: Mapping[str, Any]) -> None:
        """Go on from what `arrays` and `card` gave, with a base of the same items."""

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(np.array(arrays[name]))

        flats = {name: tensor(f"weights.{name}") for name in self.weights.tensors()}
        self.weights = Weights(**flats, steps=int(card["steps"]))
        parts = {name.removeprefix("summaries."): one for name, one in arrays.items() if name.startswith("summaries.")}
        self.summaries.restore(parts)
        numbers = sorted(int(name.removeprefix("version.")) for name in arrays if name.startswith("version."))
        self.kept = {number: tensor(f"version.{number}") for number in numbers}
        self._tried = np.array(arrays["tried"], dtype=np.float64)
        self.reservoir.kept, self.reservoir.met = Lesson.restored(arrays, "replay"), int(card["met"])
        waiting, gathered = Lesson.restored(arrays, "waiting"), Lesson.restored(arrays, "gathered")
        self._waiting = [] if waiting is None else [waiting]
        self._gathered = [] if gathered is None else [gathered]
        self.made = {number: (counted, moment) for number, counted, moment in card["made"]}
        self.version, self.candidate, self.floor = int(card["version"]), int(card["candidate"]), int(card["floor"])
        self.learned, self.refused = int(card["learned"]), int(card["refused"])
        self.guard.restore(dict(card["guard"]))
        self.rival.restore(dict(card["rival"]))
        self.windows.restore(card["windows"], card["unsettled"])
        self.trial.now, self.on_trial = card["now"], int(card["on_trial"])
        hot = np.array(arrays["hot"], dtype=np.int64)
        self._publish(self.trial.serving(self.kept.get(self.on_trial), hot, tensor("moved")))

    def sha256(self) -> str:
        """Of everything that `arrays` and `card` tell, but for what is unsettled: that says how far the log is."""
        moved = {name: one for name, one in self.card().items() if name != "unsettled"}
        digest = hashlib.sha256(json.dumps(moved, sort_keys=True).encode())
        for name, array in sorted(self.arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
