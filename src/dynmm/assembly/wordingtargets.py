"""The words that L_nlp wants: somebody's explanations where the data has some, else rationales that verify."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from dynmm.assembly.questioning import BeforeCut
from dynmm.assembly.viewing import audience_of
from dynmm.config import Config
from dynmm.evidence.gathering import Names, gather
from dynmm.evidence.ledger import Ledger
from dynmm.evidence.score import EvidenceScore
from dynmm.evidence.store import EvidenceStore
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.explanations import read_explanations
from dynmm.interactions.fields import BRAND, EXPLANATIONS_FILE, TITLE, YEAR
from dynmm.language.questions import Questions
from dynmm.language.targets import explained_pairs
from dynmm.rationale.verification import verify
from dynmm.rationale.writing import write
from dynmm.types import Explained

#: Of the words that are made of facts where no explanations came with the data.
_VERSION = 2


def explanations_of(train: Dataset) -> Path | None:
    """The file of explanations that came with a data set, None where there is none."""
    path = None if train.folder is None else train.folder / EXPLANATIONS_FILE
    return path if path is not None and path.is_file() else None


def words_key(train: Dataset, config: Config) -> str:
    """Names what the words follow from besides events and facts: the file, else what a rationale says and how."""
    path = explanations_of(train)
    if path is not None:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    told = [_VERSION, config.rationale.model_dump(mode="json"), train.info.noun, train.info.verb]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def wanted_texts(questions: Questions, before: BeforeCut, train: Dataset, config: Config) -> dict[tuple[int, int], str]:
    """By dense user and item, for the answers of these questions; some have none. Raises DataError."""
    wanted = set(zip(questions.people.tolist(), questions.targets.tolist(), strict=True))
    path = explanations_of(train)
    if path is not None:
        return explained_pairs(read_explanations(path.parent), train.users, train.items, wanted)
    store, score = _store(before, train, config), EvidenceScore(before.terms, before.weights)
    texts = {}
    for case in range(len(before.asked)):
        pair = int(before.asked.users[case]), int(before.asked.targets(case)[0])
        if pair in wanted and pair not in texts:
            text = _written(before, store, score, case, train, config)
            if text is not None:
                texts[pair] = text
    return texts


def _written(
    before: BeforeCut, store: EvidenceStore, score: EvidenceScore, case: int, train: Dataset, config: Config
) -> str | None:
    """What may be said of one answer by the facts before the cut, in plain words; None where nothing may be."""
    user, item = int(before.asked.users[case]), int(before.asked.targets(case)[0])
    outside, name = train.items.decode(item), train.users.decode(user)
    audience = audience_of(outside, store, config.rationale)
    as_of = audience.reads(store)
    query, names = before.asked.query(case), Names(train.items.ids, name)
    found = gather(score, query, item, names, store, config.evidence, audience)
    parts = {"latent": 0.0, "evidence": found.total}
    explained = Explained(outside, found.total, 1, parts, found.evidence, found.rest, as_of, found.rest_raises)
    told = write(explained, store, train.info, config.rationale, name)
    if told.abstains or not verify(told.as_json(), store, train.info, config.rationale).holds:
        return None
    return told.text


def _store(before: BeforeCut, train: Dataset, config: Config) -> EvidenceStore:
    table, known = train.item_table, before.known

    def taken(user: int, _: int) -> frozenset[int]:
        return frozenset(known.history(user).items.tolist())

    return EvidenceStore(
        ledger=Ledger.of(known),
        likeness=before.terms.likeness,
        attributes=before.terms.attributes,
        items=train.items,
        users=train.users,
        taken=taken,
        titles=tuple(table[TITLE].to_list()),
        years=tuple(table[YEAR].to_list()),
        brands=tuple(table[BRAND].to_list()),
        pairs=config.evidence.pairs,
    )
