"""Everything that moves, as files: where a restart goes on, so that it need not read the whole log again.

What is written follows from the log. A recommender that was put back and reads on is, to the last bit, one that never
stopped.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dynmm.assembly.live import Live, admit, live_of
from dynmm.assembly.whole import whole_of
from dynmm.errors import ArtefactError, reason
from dynmm.evidence.items import ItemStatistics
from dynmm.evidence.pairs import PairStatistics
from dynmm.interactions.fields import USER
from dynmm.recommender import Recommender
from dynmm.storage import named_disk_errors, write_json
from dynmm.stream.events import Entry, Event
from dynmm.types import Events

#: Of what `write_live` writes. Until 1 the adapter read other numbers of users, which it cannot go on from.
FORMAT = 2

EVENTS_FILE, USERS_FILE, CARD_FILE = "events.safetensors", "users.parquet", "live.json"
PAIRS_DIR, ITEMS_DIR = "pairs", "items"


def write_live(recommender: Recommender, folder: Path) -> None:
    """Write all that learning has moved into an existing folder. Raises StorageError."""
    live, whole = live_of(recommender), whole_of(recommender)
    events = whole.learned_events()
    arrays = {"users": events.users, "items": events.items}
    if events.timestamps is not None:
        arrays["times"] = events.timestamps
    with named_disk_errors(folder):
        save_file({name: np.ascontiguousarray(one) for name, one in arrays.items()}, folder / EVENTS_FILE)
        newcomers = list(recommender.users.ids[recommender.known.n_users :])
        pl.DataFrame({USER: newcomers}, schema={USER: pl.String}).write_parquet(folder / USERS_FILE)
    if whole.evidence is not None and whole.counts_apart:
        whole.evidence.terms.pairs.save(folder / PAIRS_DIR)
        whole.evidence.terms.items.save(folder / ITEMS_DIR)
    if whole.moving is not None:
        whole.moving.save(folder)
    card = {
        "format": FORMAT,
        "offset": live.offset,
        "marks": live.marks,
        "boundaries": live.boundaries,
        "admitted": live.admitted,
        "counted": recommender.counted,
        "late_clocks": live.late_clocks,
        "let_go": live.let_go,
        "held": [[one.offset, one.received, *_event(one.event)] for one in live.held],
    }
    write_json(folder / CARD_FILE, card)


def read_live(recommender: Recommender, folder: Path) -> None:
    """Put a freshly loaded recommender where `write_live` left another. Raises ArtefactError."""
    live = live_of(recommender)
    try:
        card: dict[str, Any] = json.loads((folder / CARD_FILE).read_bytes())
        arrays = load_file(folder / EVENTS_FILE)
        newcomers = pl.read_parquet(folder / USERS_FILE)[USER].to_list()
        for number in range(card["admitted"]):
            admit(recommender, number)
        for name in newcomers:
            recommender.users.add(name)
        events = Events(arrays["users"], arrays["items"], arrays.get("times"))
        _put_back(recommender, events, folder)
        _place(live, card)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _unreadable(folder, error) from error


def counted_at(folder: Path) -> int:
    """How many events counted when a snapshot was taken. Raises ArtefactError, for one of another version, too."""
    try:
        card = json.loads((folder / CARD_FILE).read_bytes())
        found, counted = int(card.get("format", 1)), int(card["counted"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(folder, error) from error
    if found != FORMAT:
        raise ArtefactError(
            f"the snapshot in {folder} is of another version of dynmm, with format {found} and not {FORMAT}: it is "
            "passed over, and the log is read from further back"
        )
    return counted


def _unreadable(folder: Path, error: Exception) -> ArtefactError:
    return ArtefactError(f"the snapshot in {folder} cannot be read: {reason(error)}; remove it, the log has it all")


def live_sha256(recommender: Recommender) -> str:
    """Of all that moves, in a form that does not hang on how it came about: equal states give equal digests."""
    live, whole = live_of(recommender), whole_of(recommender)
    digest = hashlib.sha256()
    events = whole.learned_events()
    for array in (events.users, events.items, events.timestamps):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    told = [list(recommender.users.ids), list(recommender.items.ids), [_event(one.event) for one in live.held]]
    digest.update(json.dumps(told).encode())
    if whole.evidence is not None:
        pairs, items = whole.evidence.terms.pairs, whole.evidence.terms.items
        pairs.compact()
        for table in pairs.tables:
            for part in (table.sources, table.starts, table.items, *table.columns):
                digest.update(np.ascontiguousarray(part).tobytes())
        digest.update(items.events.tobytes() + items.users.tobytes())
    if whole.moving is not None:
        digest.update(whole.moving.sha256().encode())
    return digest.hexdigest()


def _put_back(recommender: Recommender, events: Events, folder: Path) -> None:
    whole, counted = whole_of(recommender), None
    if (folder / PAIRS_DIR).is_dir():
        counted = PairStatistics.load(folder / PAIRS_DIR), ItemStatistics.load(folder / ITEMS_DIR)
    whole.put_back(events, counted)
    if whole.moving is not None:
        whole.moving.remember(events)
        whole.moving.load(folder)
    recommender.remember(events)


def _place(live: Live, card: dict[str, Any]) -> None:
    live.offset, live.marks = int(card["offset"]), int(card["marks"])
    live.boundaries, live.late_clocks = int(card["boundaries"]), int(card["late_clocks"])
    live.let_go = int(card.get("let_go", 0))  # none was in an earlier version
    live.held = [Entry(offset, Event(*event), received) for offset, received, *event in card["held"]]
    live.snapshot = live.offset


def _event(event: Event) -> tuple[Any, ...]:
    return event.id, event.user, event.item, event.timestamp, event.rating, event.weight, event.kind
