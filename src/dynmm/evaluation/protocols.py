"""The protocols as exams: which cases, which candidates, which cutoffs. And the run of systems through one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import EmptyDataError, ProtocolMismatch
from dynmm.evaluation.comparisons import COMPARED
from dynmm.evaluation.metrics import CUTOFFS
from dynmm.evaluation.ranking import CHUNK, DEPTH, Pool, measure
from dynmm.evaluation.ranking import Progress as CaseProgress
from dynmm.evaluation.results import Evaluation
from dynmm.evaluation.scores import Resampling, SystemScores
from dynmm.interactions.candidates import FEW_NEGATIVES, Candidates
from dynmm.interactions.cases import Cases
from dynmm.interactions.dataset import Dataset
from dynmm.interactions.splits import Split
from dynmm.interactions.splits.split import AFTER_DELETION
from dynmm.system import System
from dynmm.types import BoolArray, FloatArray, IntArray

#: With one positive among few, cutoff 20 says little and Hit@1 is what the sampled literature reports.
SAMPLED_CUTOFFS = (1, 5, 10)

#: The split that each protocol is asked of.
SPLIT_OF = {"full": "full", "sampled": "full", "holdout": "holdout", "cold": "cold"}

#: Called with (system, seed number, cases done, cases in all).
Progress = Callable[[str, int, int, int], None]


@dataclass(frozen=True, eq=False)
class Exam:
    """One protocol's questions: the same for every system.

    compared: the metrics on which systems are compared, of those at `cutoffs`.
    apart: groups of cases that are counted and also listed apart, name -> (B,) mask.
    """

    protocol: str
    cases: Cases
    pool: Pool
    cutoffs: tuple[int, ...] = CUTOFFS
    depth: int = DEPTH
    notes: tuple[str, ...] = ()
    compared: tuple[str, ...] = COMPARED
    apart: Mapping[str, NDArray[np.bool_]] | None = None


def full(train: Dataset, cases: Cases, *, protocol: str = "full") -> Exam:
    """The whole catalogue less the user's history. For `full` and `holdout`, whose cases differ.

    train: what systems were fitted on; it tells which targets nobody could know. Raises EmptyDataError
    where there is nothing to ask.
    """
    _check(cases, protocol)
    pool = Pool(train.n_items)
    notes = ("Candidates: the whole catalogue less the user's history.", *_notes(cases, DEPTH))
    return Exam(protocol, cases, pool, notes=notes, apart=groups_apart(train, cases))


def sampled(train: Dataset, cases: Cases, negatives: IntArray, *, candidates_sha256: str = "") -> Exam:
    """One positive among drawn negatives. negatives: (B, N) items outside the user's events, one row per case.

    Raises ValueError where a case has more than one target: the protocol has no place for a second.
    """
    _check(cases, "sampled")
    if (np.diff(cases.target_offsets) != 1).any():
        raise ValueError("sampled ranking asks for exactly one target in each case")
    if len(negatives) != len(cases):
        raise ValueError(f"{len(negatives)} rows of negatives for {len(cases)} cases; draw the file for this split")
    # By item, so that their order does not tell which one is the positive.
    rows = np.sort(np.concatenate([cases.target_items[:, None], negatives], axis=1).astype(np.int32), axis=1)
    drawn = negatives.shape[1]
    notes = [
        f"Candidates: the positive and {drawn} uniform negatives outside the user's events, the same for all.",
        "Sampling reverses orders between systems: read it beside `full` only.",
        *_notes(cases, rows.shape[1]),
    ]
    if candidates_sha256:
        notes.insert(1, f"Candidate file sha256 {candidates_sha256}.")
    listed = Pool(train.n_items, rows=rows, exclude_history=False)
    cutoffs = tuple(cutoff for cutoff in SAMPLED_CUTOFFS if cutoff <= drawn)
    # Among twenty, the first place is what the literature reports as accuracy.
    compared = COMPARED if drawn > FEW_NEGATIVES else ("hit@1", f"ndcg@{cutoffs[-1]}")
    apart = groups_apart(train, cases)
    return Exam(f"sampled-{drawn}", cases, listed, cutoffs, rows.shape[1], tuple(notes), compared, apart)


def cold(train: Dataset, cases: Cases, cold_items: BoolArray) -> tuple[Exam, Exam]:
    """Cases whose targets are cold: against the whole catalogue, and against cold items only.

    cold_items: (I,) mask of items with too few training events to be known by them.
    """
    whole = full(train, cases, protocol="cold")
    few = Pool(train.n_items, shared=np.flatnonzero(cold_items).astype(np.int32))
    notes = (f"Candidates: the {int(cold_items.sum())} cold items less the user's history.", *whole.notes[1:])
    return whole, replace(whole, protocol="cold-only", pool=few, notes=notes)


def check_complete(split: Split) -> None:
    """Raises ProtocolMismatch where people have left the data of a run, and so what was held out."""
    if split.variant == AFTER_DELETION:
        raise ProtocolMismatch(
            "people were deleted from this run since its fit, and are missing from what was held out; fit again to "
            "measure"
        )


def exams(split: Split, protocol: str, *, drawn: Candidates | None = None, candidates_sha256: str = "") -> list[Exam]:
    """The exams of one protocol on the test part of a split; the first is the one asked for.

    `sampled` comes as 1 + 99, 1 + 19 and `full`, from the frozen candidates `drawn` for this split; `cold` as
    the whole catalogue and cold items only. Raises ProtocolMismatch where the split is another protocol's.
    """
    check_complete(split)
    if protocol not in SPLIT_OF or split.name != SPLIT_OF[protocol] or split.test is None:
        fits = [name for name, needed in SPLIT_OF.items() if needed == split.name]
        if split.stream is not None:
            raise ProtocolMismatch(
                f"protocol {protocol!r} cannot be asked of split 'stream'; `dynmm stream` measures such a run"
            )
        if split.test is None:
            raise ProtocolMismatch(
                f"this run was fitted with split {split.name!r}, which holds no test part out, so there is nothing to "
                "measure; fit again with --split full, or another that holds one out"
            )
        needed = f"--split {SPLIT_OF[protocol]}" if protocol in SPLIT_OF else f"a protocol of {', '.join(SPLIT_OF)}"
        raise ProtocolMismatch(
            f"protocol {protocol!r} cannot be asked of split {split.name!r}, which supports {' and '.join(fits)}; "
            f"ask that, or fit again with {needed}"
        )
    train, test = split.train, split.test
    if protocol == "cold":
        assert split.cold_items is not None
        return list(cold(train, test, split.cold_items))
    if protocol != "sampled":
        return [full(train, test, protocol=protocol)]
    if drawn is None:
        raise ProtocolMismatch("the sampled protocol needs a candidate file; draw one for this split")
    few = drawn.negatives[:, :FEW_NEGATIVES]
    both = [sampled(train, test, part, candidates_sha256=candidates_sha256) for part in (drawn.negatives, few)]
    return [*both, full(train, test)]


def groups_apart(train: Dataset, cases: Cases) -> dict[str, NDArray[np.bool_]]:
    """Cases in which some systems have no chance, name -> (B,) mask. They count in the means as well.

    empty_history: nothing is known of the user. target_in_history: a target that the user had before, which
    never comes back where the history is excluded. target_unseen: a target without any training event.
    """
    n_items, sizes = train.n_items, np.diff(cases.target_offsets)
    target_rows = np.repeat(np.arange(len(cases)), sizes)
    history_sizes = np.diff(cases.history_offsets)
    history_rows = np.repeat(np.arange(len(cases)), history_sizes)
    first, last = cases.history_offsets[0], cases.history_offsets[-1]
    owned = history_rows * n_items + cases.history_items[first:last]
    wanted = cases.target_items[cases.target_offsets[0] : cases.target_offsets[-1]]
    again = np.isin(target_rows * n_items + wanted, owned)
    unseen = train.item_counts()[wanted] == 0
    return {
        "empty_history": history_sizes == 0,
        "target_in_history": np.bincount(target_rows[again], minlength=len(cases)) > 0,
        "target_unseen": np.bincount(target_rows[unseen], minlength=len(cases)) > 0,
    }


def run(
    exam: Exam,
    systems: Mapping[str, Iterable[System]],
    *,
    data_sha256: str = "",
    how: Resampling | None = None,
    margin: float | None = None,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Evaluation:
    """Every fitted system through one exam. See `run_all`."""
    return run_all([exam], systems, data_sha256=data_sha256, how=how, margin=margin, chunk=chunk, progress=progress)


def run_all(
    exams: Sequence[Exam],
    systems: Mapping[str, Iterable[System]],
    *,
    data_sha256: str = "",
    how: Resampling | None = None,
    margin: float | None = None,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Evaluation:
    """Every fitted system through every exam; the first exam's outcome, with the others beside it.

    systems: name in the tables -> the system once per seed. The iterables are walked once, one system at a
    time, so a generator that loads or fits each needs the memory of one. margin: see `comparisons.compare`.
    """
    scores: list[list[SystemScores]] = [[] for _ in exams]
    total = sum(len(exam.cases) for exam in exams)
    for name, seeds in systems.items():
        runs: list[list[dict[str, FloatArray]]] = [[] for _ in exams]
        for number, system in enumerate(seeds):
            done = 0
            for exam, of_exam in zip(exams, runs, strict=True):
                told = None if progress is None else _told(progress, name, number, done, total)
                of_exam.append(_sit(exam, system, chunk, told))
                done += len(exam.cases)
        for of_exam, found in zip(runs, scores, strict=True):
            found.append(SystemScores.of_seeds(name, of_exam))
    outcomes = [
        _outcome(exam, found, data_sha256, how or Resampling(), margin)
        for exam, found in zip(exams, scores, strict=True)
    ]
    return replace(outcomes[0], beside=outcomes[1:])


def _sit(exam: Exam, system: System, chunk: int, told: CaseProgress | None) -> dict[str, FloatArray]:
    return measure(system, exam.cases, exam.pool, cutoffs=exam.cutoffs, depth=exam.depth, chunk=chunk, progress=told)


def _outcome(
    exam: Exam, scores: Sequence[SystemScores], data_sha256: str, how: Resampling, margin: float | None
) -> Evaluation:
    apart = exam.apart or {}
    counts = {name: int(rows.sum()) for name, rows in apart.items()}
    return Evaluation(
        protocol=exam.protocol,
        data_sha256=data_sha256,
        users=exam.cases.users,
        systems=scores,
        depth=exam.depth,
        apart=apart,
        counts=counts,
        notes=exam.notes,
        how=how,
        margin=margin,
        compared=exam.compared,
    )


def _told(progress: Progress, name: str, number: int, before: int, total: int) -> CaseProgress:
    return lambda done, _: progress(name, number, before + done, total)


def _check(cases: Cases, protocol: str) -> None:
    if not len(cases):
        raise EmptyDataError(f"the split has no test case for `{protocol}`; check it with `dynmm data inspect`")


def _notes(cases: Cases, depth: int) -> Sequence[str]:
    single = bool((np.diff(cases.target_offsets) == 1).all())
    notes = [
        "Ties count against the model: everything with the target's score stands before it.",
        f"Lists are {depth} deep; MRR is zero where no target is among them.",
    ]
    if single:
        notes.append("Each case has one target, so Recall equals Hit.")
    else:
        notes.append("Cases have several targets: Hit asks for any of them, Recall for their share.")
    return notes
