"""The walk, every stage in order: from a user's newest history to ranked items, on outside ids."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from dynmm.errors import ConfigError
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.fields import ITEM, TITLE
from dynmm.interactions.histories import Histories
from dynmm.interactions.itemtable import stacked
from dynmm.interactions.vocabulary import OpenVocabulary, names_of
from dynmm.recommendations import Recommendations
from dynmm.system import PADDING, Query, Rankings, System
from dynmm.types import NO_TIME, Events, Explanation, IntArray, Rationale, Recommendation, SimilarItem, UserHistory

if TYPE_CHECKING:
    from types import TracebackType

    from dynmm.assembly import FitOptions, Learned, Live, Moves, Version
    from dynmm.catalogue.report import MediaReport
    from dynmm.config import Config
    from dynmm.interactions.splits import Split
    from dynmm.rationale.verification import Verification


@dataclass(repr=False, eq=False)
class Recommender:
    """A fitted system with the ids, texts and histories that it works on.

    system: ranks dense items for queries. known: the data set whose events are the users' histories. facts:
    what the manifest says of the fit. split: what was held out; None for a published model, which has no users.
    """

    system: System
    known: Dataset
    facts: Mapping[str, Any] = field(default_factory=dict)
    split: Split | None = None

    def __post_init__(self) -> None:
        self.items, self.users = OpenVocabulary(self.known.items.ids), OpenVocabulary(self.known.users.ids)
        self._histories = Histories(self.known)
        self._titles: list[str | None] = self.known.item_table[TITLE].to_list()
        #: Rows of the items that `add_items` took in since the fit, None where there are none.
        self.added: pl.DataFrame | None = None
        #: Events learned since the fit that count; those that wait for their items do not.
        self.counted = 0
        #: Users of the fit who were deleted since.
        self.forgotten = 0
        #: Where it stands in its log; made when the log is first needed.
        self.live: Live | None = None
        #: Held by whoever writes: learning, new items, deletion, rollback, snapshots. Asking does not take it.
        self.lock = threading.RLock()
        times = self.known.events.timestamps
        #: The moment of the newest event of the fit, ms UTC; None where the data has no time.
        self.known_until = int(times.max()) if times is not None and len(times) else None
        self._now = self.known_until

    def __repr__(self) -> str:
        return f"Recommender({self.known.info.name!r}, {len(self.users):,} users, {len(self.items):,} items)"

    @classmethod
    def fit(
        cls,
        data: Dataset | str | Path,
        config: Config | Mapping[str, Any] | None = None,
        *,
        split: str | None = None,
        seed: int = 0,
        options: FitOptions | None = None,
    ) -> Recommender:
        """Fit to a data set or a canonical folder.

        config: overrides of the defaults, e.g. ``{"backbone": {"epochs": 5}}``. split: ``none`` uses all
        events, for deployment; the others hold a test part out; None takes `split.name` of the config. options:
        device, cache and progress. Content that was given and not read is logged; `facts["content"]` has all of it.
        """
        from dynmm.assembly import FitOptions, fit, with_losses_told

        return with_losses_told(fit(data, config, split=split, seed=seed, options=options or FitOptions()).recommender)

    @classmethod
    def from_pretrained(cls, source: str | Path, *, device: str = "auto", as_of: int | None = None) -> Recommender:
        """Load a run from a folder, or a published model by its hub name (`owner/name`).

        as_of: an offset of the log, see `offset`: the run as it was just before the next event counted, to look at and
        not to teach. Items that came then and versions gone back to belong to it. What a run learns is written to its
        log at once.
        """
        from dynmm.assembly import load

        return load(source, device=device, as_of=as_of)

    def save_pretrained(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Save as a run, as of its `as_of`, whole or not at all. overwrite: even over one that has learned."""
        from dynmm.assembly import save

        save(self, Path(folder), overwrite=overwrite)

    def push_to_hub(self, repository: str, **options: Any) -> str:
        """Publish `model/` alone, never a user id or an event. Returns the address."""
        from dynmm.assembly import push_to_hub

        return push_to_hub(self, repository, **options)

    def recommend(
        self,
        user: str | int,
        k: int = 10,
        *,
        exclude: Iterable[str | int] = (),
        exclude_history: bool = True,
        explain: bool = False,
        without: Iterable[str | int] = (),
        view: str | None = None,
    ) -> list[Recommendation]:
        """The best k items for one user, best first; fewer where the catalogue runs out.

        explain: take each score apart and say why. without: items of the history, or ids of facts, that are not to
        be used: everything is computed as if they were not there. view: who reads, ``public`` or ``operator``, by
        default as configured: it writes the reasons and bounds the facts that may be named. Scores and `explained` are
        exact in both. Raises UnknownIdError for a user, an item or a fact that this run has never seen, ConfigError for
        a view without reasons or facts, and UnsupportedByData for a fact that the view may not name, or where a
        published model is to explain.
        """
        from dynmm.assembly import explained_items, need_log, one_request, ranked_without

        if explain:
            need_log(self)
        # One state throughout: who is deleted meanwhile is asked about, and remembered, where all is from before.
        asked = one_request(self) if explain else copy.copy(self)
        query, gone, depth = asked.query_of(user, exclude, exclude_history), names_of(without), self._depth(k)
        if view is not None and not explain and not gone:
            raise ConfigError("view is about reasons, and about facts that are left out; ask with explain=True")
        top = ranked_without(asked, query, depth, gone, str(user), view) if gone else asked.system.rank([query], depth)
        found = asked._dress(top, 0)
        return explained_items(asked, query, found, str(user), gone, view) if explain else found

    def explain(
        self, user: str | int, item: str | int, *, without: Iterable[str | int] = (), view: str | None = None
    ) -> Explanation:
        """Why an item stands where it stands for a user: the parts of its score, its facts, and sentences.

        without: items of the history or ids of facts; what would be without them is recomputed in full. view: as
        `recommend` has it. Raises UnknownIdError, and UnsupportedByData where `recommend` with reasons does.
        """
        from dynmm.assembly import explanation_of, need_log

        need_log(self)
        asked = copy.copy(self)  # as in `recommend`
        query, dense = asked.query_of(user), self.items.encode(item, what="item")
        return explanation_of(asked, query, dense, str(user), names_of(without), view)

    def importance(self, user: str | int, item: str | int) -> dict[str, float]:
        """What latent and evidence of an item lose without each attribute and each modality, most important first.

        Each is taken away and both are recomputed, the latent as fitted; attention is not asked, nor what adapter and
        re-ranker add. Raises UnknownIdError.
        """
        from dynmm.assembly import importance_of

        asked = copy.copy(self)  # as in `recommend`
        return importance_of(asked, asked.query_of(user), self.items.encode(item, what="item"))

    def verify(
        self,
        rationale: Mapping[str, Any] | Rationale,
        *,
        without: Iterable[str | int] = (),
        exclude: Iterable[str | int] = (),
        exclude_history: bool = True,
        offset: int | None = None,
    ) -> Verification:
        """Recompute every claim of a rationale from the log, and where nothing was learned since, from the score.

        without, exclude, exclude_history: as `recommend` had them. offset: `Recommender.offset` of then, which a public
        rationale does not say itself. Raises DataError where it cannot be read."""
        from dynmm.assembly import verified

        told = rationale.as_json() if isinstance(rationale, Rationale) else rationale
        return verified(self, told, names_of(without), names_of(exclude), exclude_history, offset)

    def recommend_many(self, users: Iterable[str | int], k: int = 10) -> Recommendations:
        """The best k items for each user, as one batch."""
        names = names_of(users)
        rankings = self.system.rank([self.query_of(name) for name in names], self._depth(k))
        return Recommendations({name: self._dress(rankings, row) for row, name in enumerate(names)})

    def recommend_session(self, history: Sequence[str | int], k: int = 10) -> list[Recommendation]:
        """The best k items after a history of item ids, oldest first, of somebody who need not be a known user."""
        items = self._dense_items(history)
        return self._dress(self.system.rank([Query(UserHistory(items), self._now, exclude=items)], self._depth(k)), 0)

    def rank(self, user: str | int, items: Sequence[str | int]) -> list[Recommendation]:
        """The given items in the order in which this user is expected to like them.

        Items that the user had before are ranked among the others, though the model never learned to score them
        where people hardly take an item twice (`backbone.mask_history`).
        """
        dense, asked = self._dense_items(items), copy.copy(self)  # as in `recommend`
        query = Query(asked.query_of(user).history, self._now, candidates=np.unique(dense))
        return self._dress(asked.system.rank([query], max(1, len(dense))), 0)

    def similar(self, item: str | int, k: int = 10) -> list[SimilarItem]:
        """The k items most like one, best first, with what each modality adds to the likeness and the reason in words.

        Raises UnknownIdError for an item that this run has never seen. Empty where nothing is known of the item.
        """
        from dynmm.assembly import similar_to

        return similar_to(self, self.items.encode(item, what="item"), self._depth(k))

    def gate(self, item: str | int) -> dict[str, float]:
        """How much each modality counts in one item's latent (`cf`: interactions): weights that sum to 1, or none.

        Where nobody took the item they are of the network's part, less the guess. Raises UnknownIdError.
        """
        from dynmm.assembly import gate_of

        return gate_of(self, self.items.encode(item, what="item"))

    def learn(self, events: Any, *, skip_bad: bool = False) -> Learned:
        """Take in what has just happened: rows with user_id, item_id and, where the data has time, timestamp.

        events: a table of polars, pandas or pyarrow, or mappings, one for each event; with event_id, an event that
        comes twice counts once. The types and the checks are those of a data set's interactions. They are written to
        the log first, durably where the run lies on a disk, and counted then, in the order of their times and behind
        all that came before. New users become known. Events of items that nobody has told of wait for `add_items`, see
        `held`; those that `data.min_rating` or `data.kinds` of the fit leave out do not count. skip_bad: leave bad rows
        out and count them. Raises DataError for a missing column, a bad row, or an id with other contents."""
        from dynmm.assembly import learn_events

        return learn_events(self, events, skip_bad=skip_bad)

    def add_items(
        self, items: Any, media: Any = None, *, features: str | Path | None = None, cache: Path | None = None
    ) -> MediaReport:
        """Make new items rankable at once, from what is known of them besides interactions.

        items: a table with item_id and any of title, description, brand, categories, year. media: a table with
        item_id, modality, format and bytes. features: a folder of precomputed vectors, needed where the run was
        fitted on such. cache: of encoders, None for the user's. Their arrival stands in the log; events that waited
        for them count from now on. Returns what was read and what was left out and why; `lines()` of it says so in
        sentences, and losses are logged, too. An item of which nothing is known is taken in, can be learned, and is
        named there. Raises DataError for an id that is known already or where nothing is known of all of them, and
        UnsupportedByData for a run that knows interactions alone.
        """
        from dynmm.assembly import add_items

        return add_items(self, items, media, None if features is None else Path(features), cache)

    def forget(self, user: str | int) -> dict[str, Any]:
        """Delete a user: from the log, the statistics, the histories, the adapter and the snapshots.

        Everything that moves is as if the log had never had them. Returns a certificate: what was deleted, and what
        the deletion does not cover. Once it is stopped half-way, this object answers no more. Raises UnknownIdError.
        """
        from dynmm.assembly import forget_user

        return forget_user(self, str(user))

    def moves(self, user: str | int, start: int, end: int, k: int = 10) -> Moves:
        """What moved in a user's list from one offset of the log to another, and which events did that.

        Raises UnknownIdError, DataError for offsets that the log does not have, and ConfigError for k below 1.
        """
        from dynmm.assembly import moves_between

        return moves_between(self, str(user), start, end, self._depth(k))

    def rollback(self, version: int) -> None:
        """Serve an earlier version of the adapter, one of `versions`, until a new one, learned from there, has proved
        itself. It stands in the log. Raises UnknownIdError for a version that is not kept."""
        from dynmm.assembly import roll_back

        roll_back(self, version)

    def close(self) -> None:
        """Take a snapshot where there is something new, and let go of the log. One that fails is logged."""
        from dynmm.assembly import close_live

        close_live(self)

    def __enter__(self) -> Recommender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def admit(self, table: pl.DataFrame, system: System) -> None:
        """Take in checked items with the system that ranks them. Raises DataError for an id that is known already."""
        self.items.extend(table[ITEM].to_list(), what="item")
        self.added = table if self.added is None else stacked(self.added, table)
        self._titles += table[TITLE].to_list()
        self.system = system

    @property
    def now(self) -> int | None:
        """The moment of the newest event, ms UTC; None where the data has no time."""
        return self._now

    @property
    def reranked(self) -> dict[str, int]:
        """Questions that the re-ranker was asked since it was loaded (``asked``), and those that it did not answer, by
        reason: they kept the order of the stages below. Empty where nothing re-ranks."""
        from dynmm.assembly import served

        return served(self)

    @property
    def versions(self) -> tuple[Version, ...]:
        """Versions of the adapter that `rollback` goes back to, the base first; empty without an adapter."""
        from dynmm.assembly import versions_of

        return versions_of(self)

    @property
    def refused(self) -> int:
        """Events and updates that the adapter threw away: not finite numbers, or far too large a step."""
        from dynmm.assembly import refused_of

        return refused_of(self)

    @property
    def titles(self) -> tuple[str | None, ...]:
        """(I,) of every item, None where the catalogue has none."""
        return tuple(self._titles)

    @property
    def offset(self) -> int:
        """Events that count, those of the fit first: the place in the log that `as_of` names."""
        from dynmm.assembly import offset_of

        return offset_of(self) or 0

    @property
    def held(self) -> int:
        """Events in the log that wait for their items."""
        return 0 if self.live is None else len(self.live.held)

    def replay(self, events: Events) -> None:
        """Count dense events, in their order."""
        if len(events):
            self.system.learn(events)
            self.remember(events)

    def remember(self, events: Events) -> None:
        """Put events that the system has counted into the histories."""
        self._histories.append(events)
        self.counted += len(events)
        if events.timestamps is not None and len(events):
            self._now = max(int(events.timestamps.max()), self._now or NO_TIME)

    def history(self, user: str | int) -> list[str]:
        """The items of one user, oldest first."""
        return [self.items.decode(item) for item in self._histories.of(self.users.encode(user, what="user")).items]

    def title(self, item: str | int) -> str | None:
        """The title of one item, None where the catalogue has none."""
        return self._titles[self.items.encode(item, what="item")]

    def _depth(self, k: int) -> int:
        """k, but no more than there are items: a list is never longer, and the memory for it is not either."""
        if not isinstance(k, Integral) or k < 1:
            raise ConfigError(f"k is {k!r}; ask for at least 1 item, in a whole number")
        return min(int(k), max(1, len(self.items)))

    def query_of(self, user: str | int, exclude: Iterable[str | int] = (), exclude_history: bool = True) -> Query:
        """What this user would be asked now. Raises UnknownIdError."""
        history = self._histories.of(self.users.encode(user, what="user"))
        hidden = np.union1d(self._dense_items(exclude), history.items if exclude_history else history.items[:0])
        return Query(history, self._now, exclude=hidden.astype(np.int32))

    def _dense_items(self, items: Iterable[str | int]) -> IntArray:
        return np.asarray([self.items.encode(item, what="item") for item in names_of(items)], dtype=np.int32)

    def _dress(self, rankings: Rankings, row: int) -> list[Recommendation]:
        return [
            Recommendation(self.items.decode(item), score, self._titles[item], degraded=rankings.why(row))
            for item, score in zip(rankings.items[row].tolist(), rankings.scores[row].tolist(), strict=True)
            if item != PADDING
        ]
