"""What public claims about many people give away about one of them, in the way of Calandrino et al. (2011).

The attacker knows m items that a target has taken (auxiliary knowledge), may ask for every public fact between these
and any other item, and asks again after a period in which the target has taken something. The more of the facts
around an item have risen, the likelier it is that the target took it (their section 4.2). Nothing but the public
view is asked, through `PublicView`.

Each target is attacked twice from the same start: with the target's events of the period in the log, and without
them. What the attack achieves without them it has from everybody else and from taste; the difference is what the
target's own events gave away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dynmm.configuration import Settings
from dynmm.errors import EmptyDataError
from dynmm.evaluation.attack_scores import Guess
from dynmm.factids import FactId
from dynmm.interactions.vocabulary import Vocabulary
from dynmm.randomness import generator
from dynmm.types import Events, IntArray


class PublicView(Protocol):
    """What anyone may ask."""

    def public_fact(self, fact: str, as_of: int) -> Mapping[str, Any] | None:
        """What the view says of a fact, by its id, as of an offset; None where it says nothing."""
        ...


class Log(Protocol):
    """The log behind the views, which grows."""

    def append(self, events: Events) -> int:
        """Take in events, in order. Returns the offset behind them."""
        ...


class AttackSettings(Settings):
    """The attacker, and how often they try."""

    known: int = Field(10, ge=1, description="items of the target that the attacker knows")
    recent: int = Field(50, ge=1, description="known items are drawn from so many of the target's latest events")
    period: int = Field(100, ge=1, description="events of all people between two looks")
    targets: int = Field(200, ge=1, description="people attacked, at most, spread evenly over the stream")
    together: int = Field(1, ge=1, description="targets in one period; a later one's events follow an earlier one's")
    taken: int = Field(20, ge=1, description="items of a target in the period that are looked for, at most")
    others: int = Field(20, ge=1, description="items that the target did not take, beside each that they did")
    unions: int = Field(10, ge=0, description="facts about several known items at once, besides that about all")
    trend_days: int = Field(7, ge=0, description="window of the trends that are watched; 0 watches none")
    seed: int = Field(0, description="of all that is drawn")


@dataclass(frozen=True, eq=False)
class Past:
    """What had happened before the stream, and the names of the items. events: grouped in any way, oldest first
    within each user."""

    events: Events
    items: Vocabulary


def attack(
    log: Log,
    views: Mapping[str, PublicView],
    past: Past,
    stream: Events,
    settings: AttackSettings,
    *,
    progress: Callable[[float], None] | None = None,
) -> dict[str, list[Guess]]:
    """Attack targets along a stream. Returns, for each view, a guess for every item that a target took.

    log: holds the past already; the stream is appended to it. views: read the same log. Within a period the targets'
    events are appended last, so that the same log shows the world without them. progress: called with the share done.
    Raises EmptyDataError where no user of the stream has `known` earlier items.
    """
    guesses: dict[str, list[Guess]] = {name: [] for name in views}
    scenes = list(_scenes(past, stream, settings))
    if not scenes:
        raise EmptyDataError(f"nobody in the stream has {settings.known} earlier items and takes a new one")
    done = 0
    for number, scene in enumerate(scenes):
        before = log.append(stream.take(slice(done, scene.start)))
        rows = np.arange(scene.start, scene.end)
        targets = [one.user for one in scene.targets]
        without = log.append(stream.take(rows[~np.isin(stream.users[rows], targets)]))
        for target in scene.targets:
            now = log.append(stream.take(rows[stream.users[rows] == target.user]))
            watched = _Watched(past.items, target, scene.moment, settings)
            for name, view in views.items():
                guesses[name] += watched.guesses(view, (before, without, now))
            without = now
        done = scene.end
        if progress is not None:
            progress((number + 1) / len(scenes))
    return guesses


@dataclass(frozen=True, eq=False)
class _Target:
    """taken: items new to the user in the period, each with the items that it is to be told from."""

    user: int
    known: tuple[int, ...]
    taken: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class _Scene:
    """A period. start, end: rows of the stream. moment: just behind the last event, None without time."""

    start: int
    end: int
    targets: tuple[_Target, ...]
    moment: int | None


def _scenes(past: Past, stream: Events, settings: AttackSettings) -> Iterator[_Scene]:
    """Periods at even distances that do not overlap, with targets drawn from the people who act in them."""
    period = min(settings.period, len(stream))
    step = max(period, len(stream) * settings.together // settings.targets)
    people = _People(past, len(past.items))
    done = 0
    for end in range(step, len(stream) + 1, step):
        start = end - period
        people.see(stream.take(slice(done, start)))
        events = stream.take(slice(start, end))
        rng = generator(settings.seed, "attack", end)
        eligible = (
            people.target(int(user), events, settings, rng) for user in rng.permutation(np.unique(events.users))
        )
        targets = tuple(islice((one for one in eligible if one is not None), settings.together))
        people.see(events)
        done = end
        if targets:
            yield _Scene(start, end, targets, None if events.timestamps is None else int(events.timestamps[-1]) + 1)


class _People:
    """Who had taken what, and how often each item was taken."""

    def __init__(self, past: Past, n_items: int) -> None:
        self._of: dict[int, list[int]] = {}
        self._counts = np.zeros(n_items, np.int64)
        self.see(past.events)

    def see(self, events: Events) -> None:
        """Take in what has happened."""
        for user, item in zip(events.users.tolist(), events.items.tolist(), strict=True):
            self._of.setdefault(user, []).append(item)
        self._counts += np.bincount(events.items, minlength=len(self._counts))

    def target(self, user: int, period: Events, settings: AttackSettings, rng: np.random.Generator) -> _Target | None:
        """The user as a target in a period that is to come; None with too short a history or without a new item."""
        history = self._of.get(user, [])
        recent = sorted(set(history[-settings.recent :]))
        own = period.users == user
        fresh = [item for item in dict.fromkeys(period.items[own].tolist()) if item not in set(history)]
        if len(recent) < settings.known or not fresh:
            return None
        seen_by_others = np.bincount(period.items[~own], minlength=len(self._counts))
        free = np.setdiff1d(np.arange(len(self._counts)), [*history, *fresh])
        chosen = [fresh[place] for place in rng.permutation(len(fresh))[: settings.taken]]
        taken = tuple(
            (item, _others(item, free, seen_by_others, self._counts, settings.others, rng)) for item in chosen
        )
        known = tuple(int(item) for item in rng.choice(recent, size=settings.known, replace=False))
        return _Target(user, known, taken)


def _others(
    item: int,
    free: NDArray[np.int64],
    seen: IntArray,
    counts: IntArray,
    n: int,
    rng: np.random.Generator,
) -> tuple[int, ...]:
    """Items that the target has not taken, as busy in the period with other people, and about as popular before.

    So neither popularity nor what others did tells them apart from the item, and a guess is right half of the time.
    """
    busier = np.abs(seen[free] - seen[item])
    likeness = np.abs(np.log1p(counts[free]) - np.log1p(counts[item]))
    nearest = free[np.lexsort((rng.random(len(free)), likeness, busier))][: 4 * n]
    return tuple(int(one) for one in rng.choice(nearest, size=min(n, len(nearest)), replace=False))


class _Watched:
    """The facts between what the attacker knows and an item, looked at three times."""

    def __init__(self, items: Vocabulary, target: _Target, moment: int | None, settings: AttackSettings) -> None:
        self._items, self._target, self._moment, self._days = items, target, moment, settings.trend_days
        self._known = [items.decode(item) for item in target.known]
        pairs = list(combinations(self._known, 2))
        rng = generator(settings.seed, "attacked unions", target.user, *self._known)
        chosen = rng.permutation(len(pairs))[: settings.unions]
        self._unions = [pairs[place] for place in chosen] + ([tuple(self._known)] if len(self._known) > 1 else [])

    def guesses(self, view: PublicView, looks: tuple[int, int, int]) -> list[Guess]:
        """One for every item that the target took. looks: offsets before, without and with the target's events."""
        found = []
        for item, others in self._target.taken:
            risen = np.array([self._risen(view, one, looks) for one in (item, *others)], dtype=np.int64)
            found.append(Guess(self._target.user, without=risen[:, 0], given=risen[:, 1]))
        return found

    def _risen(self, view: PublicView, item: int, looks: tuple[int, int, int]) -> tuple[int, int]:
        """How many facts rose, without and with the target's events."""
        without = given = 0
        for fact in self._facts(self._items.decode(item)):
            before, middle, after = (level(view.public_fact(fact, as_of)) for as_of in looks)
            without += middle > before
            given += after > before
        return without, given

    def _facts(self, item: str) -> Iterator[str]:
        yield FactId("taken", item).text
        for one in self._known:
            yield FactId("together", item, (one,)).text
            yield FactId("followed", item, (one,)).text
        for several in self._unions:
            yield FactId("union", item, several).text
        if self._days and self._moment is not None:
            yield FactId.trend(self._days, self._moment, item).text


def level(said: Mapping[str, Any] | None) -> float:
    """How many people a fact speaks of, as far as it says; 0 where nothing is said.

    Reads `users`, and buckets under names that begin so (`users_more_than`, `users_at_least`).
    """
    numbers = [] if said is None else [value for name, value in said.items() if name.startswith("users")]
    return float(max(numbers, default=0))


def interleaved(offsets: Sequence[int] | IntArray, share: float, seed: int) -> NDArray[np.int64]:
    """Rows of a stream for data without time: the last `share` of each user's events, their order kept, users mixed
    at random. offsets: (U+1,) of `Dataset`."""
    rng = generator(seed, "interleaved stream")
    rows, keys = [], []
    for first, end in pairwise(offsets):
        late = np.arange(int(end) - int(share * (end - first)), int(end))
        rows.append(late)
        keys.append(np.sort(rng.random(len(late))))
    joined = np.concatenate(rows) if rows else np.empty(0, np.int64)
    return np.asarray(joined[np.argsort(np.concatenate(keys), kind="stable")] if len(joined) else joined, np.int64)
