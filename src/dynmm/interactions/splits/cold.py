"""`cold`: targets are items that training has hardly seen, or not at all."""

from __future__ import annotations

import numpy as np

from dynmm.errors import UnsupportedByData
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits.casework import cases_of, from_the_end, split_of
from dynmm.interactions.splits.everything import selection_slice
from dynmm.interactions.splits.leave_last import MIN_EVENTS, leave_last_parts
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.split import TEST, TRAIN, UNUSED, VALIDATION, Split
from dynmm.randomness import generator
from dynmm.types import BoolArray

#: `auto` asks for this many targets, or this share of the users where that is more.
_MIN_TARGETS, _MIN_SHARE = 200, 0.02


def cold(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    """Leave-last-out targets on rare items; hidden items where those are too few, or no order is known.

    Validation is leave-last-out over all remaining items: it selects the model, not its handling of cold
    items. Raises UnsupportedByData where no target remains.
    """
    few = _few(dataset, config) if dataset.has_order else None
    return few if few is not None else _hidden(dataset, config, seed)


def _few(dataset: Dataset, config: SplitConfig) -> Split | None:
    parts = leave_last_parts(dataset)
    trained = np.bincount(dataset.events.items[parts == TRAIN], minlength=dataset.n_items)
    cold_items = trained < config.cold_below
    on_cold = (parts == TEST) & cold_items[dataset.events.items]
    minimum = config.cold_min_targets
    if minimum == "auto":
        minimum = max(_MIN_TARGETS, round(_MIN_SHARE * dataset.n_users))
    if on_cold.sum() < minimum:
        return None
    warm = (parts == TEST) & ~on_cold
    history = parts != TEST
    parts[warm] = UNUSED
    return split_of(
        "cold",
        "few",
        dataset,
        parts,
        cases_of(dataset, parts == TRAIN, parts == VALIDATION),
        cases_of(dataset, history, on_cold),
        f"leave last out; tested where the last event's item has fewer than {config.cold_below} training events",
        cold_items=cold_items,
        counts={"cold items": int(cold_items.sum()), "unused: last events on other items": int(warm.sum())},
    )


def _hidden(dataset: Dataset, config: SplitConfig, seed: int) -> Split:
    hidden = _draw_hidden(dataset, config, seed)
    on_hidden = hidden[dataset.events.items]
    targets = _last_marked(dataset, on_hidden) if dataset.has_order else on_hidden
    after = _after_target(dataset, targets) if dataset.has_order else np.zeros(len(on_hidden), bool)
    history = ~on_hidden & ~after
    parts = np.full(len(on_hidden), UNUSED, np.int8)
    parts[history] = TRAIN
    parts[_validation_rows(dataset, history, config, seed)] = VALIDATION
    parts[targets] = TEST
    test = cases_of(dataset, history, targets)
    if len(test) == 0:
        raise UnsupportedByData(
            f"split 'cold' finds no user of {dataset.info.name!r} with an event on a hidden item after other events; "
            "hide a larger share (split.cold_hidden_share)"
        )
    notes: tuple[str, ...] = ()
    if not dataset.has_order:
        notes = ("no order is known: all of a user's events on hidden items are targets, all others the history",)
    return split_of(
        "cold",
        "hidden",
        dataset,
        parts,
        cases_of(dataset, parts == TRAIN, parts == VALIDATION),
        test,
        f"{int(hidden.sum()):,} items drawn at random are hidden from training; tested on each user's last event "
        "with one of them, and nothing that the user did later is used",
        cold_items=hidden,
        counts={
            "cold items": int(hidden.sum()),
            "unused: earlier events on hidden items": int((on_hidden & ~targets & ~after).sum()),
            "unused: events after the target": int(after.sum()),
        },
        notes=notes,
    )


def _draw_hidden(dataset: Dataset, config: SplitConfig, seed: int) -> BoolArray:
    """Among items with events: hiding one that nobody took would test nothing."""
    present = np.flatnonzero(dataset.item_counts())
    size = max(1, round(config.cold_hidden_share * len(present)))
    hidden = np.zeros(dataset.n_items, bool)
    hidden[generator(seed, "split", "cold").choice(present, size, replace=False)] = True
    return hidden


def _last_marked(dataset: Dataset, marks: BoolArray) -> BoolArray:
    """Of the marked events the last of each user, where an unmarked one comes before it."""
    rows = np.flatnonzero(marks)
    users = dataset.events.users[rows]
    is_last = np.append(users[1:] != users[:-1], True) if len(rows) else np.zeros(0, bool)
    last = rows[is_last]
    unmarked_before = np.concatenate([[0], np.cumsum(~marks)])
    has_history = unmarked_before[last] > unmarked_before[dataset.offsets[dataset.events.users[last]]]
    chosen = np.zeros(len(marks), bool)
    chosen[last[has_history]] = True
    return chosen


def _after_target(dataset: Dataset, targets: BoolArray) -> BoolArray:
    users = dataset.events.users
    place = np.full(dataset.n_users, len(users))
    place[users[targets]] = np.flatnonzero(targets)
    return np.asarray(np.arange(len(users)) > place[users])


def _validation_rows(dataset: Dataset, history: BoolArray, config: SplitConfig, seed: int) -> BoolArray:
    """The last remaining event of each user with at least three, a sampled one where no order is known."""
    rest = dataset.keep(history)
    if dataset.has_order:
        enough = np.diff(rest.offsets) >= MIN_EVENTS
        marks = (from_the_end(rest) == 0) & enough[rest.events.users]
    else:
        marks = selection_slice(rest, config.selection_share, seed)
    chosen = np.zeros(len(history), bool)
    chosen[np.flatnonzero(history)[marks]] = True
    return chosen
