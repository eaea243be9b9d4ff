"""One HTML file that tells a run to a person: no script, no network, everything inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from dynmm.evaluation import figures
from dynmm.evaluation.examples import STYLE as _OF_EXAMPLES
from dynmm.evaluation.examples import Example, examples
from dynmm.evaluation.ladder import Table, averaged_over_users, ladder
from dynmm.evaluation.old_cases import old_table
from dynmm.evaluation.robustness import missing_table, robustness_table
from dynmm.evaluation.sensed import Sensed, exhibits, sensed_table
from dynmm.storage import write_bytes
from dynmm.types import IntArray

_STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
h3 { font-size: 1rem; margin-bottom: .3rem }
table { border-collapse: collapse; font-size: .87rem; display: block; overflow-x: auto }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #e3e3e3; vertical-align: top;
         font-variant-numeric: tabular-nums }
th { border-bottom: 1px solid #888; white-space: nowrap }
.figure { margin: 1rem 0 } .figure img { max-width: 100%; height: auto }
.foot, .notes { color: #555; font-size: .85rem } .users { display: flex; flex-wrap: wrap; gap: 2rem }
.users section { flex: 1 1 17rem } ol, ul { padding-left: 1.3rem; margin-top: .2rem }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem }
"""

#: What the two halves of the cold protocol ask, for a reader who does not know it.
_COLD = {
    "cold": " The right answer is an item that training has hardly seen, or not at all; every item may be ranked.",
    "cold-only": " The same questions, with only such new items to choose from: here content decides.",
}


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything that the report tells, as plain values; what is empty is left out.

    summary: sentences. data: facts on the data, label -> value. results: JSON of evaluations, the headline
    first, what stands beside it after. robustness: JSON of `robustness.Robustness`. item_counts: (I,) events of
    each item, for the long tail. training: validation metric by epoch. sensed: what a picture or a sound explains.
    checked: a sentence on how the claims of the examples were checked. reproduce: commands. noun and verb: words of
    the data, "film", "watched".
    """

    title: str
    summary: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    results: Sequence[Mapping[str, Any]] = ()
    robustness: Sequence[Mapping[str, Any]] = ()
    item_counts: IntArray | None = None
    training: Sequence[figures.Curve] = ()
    examples: Sequence[Example] = ()
    checked: str = ""
    sensed: Sequence[Sensed] = ()
    reproduce: Sequence[str] = ()
    noun: str = "item"
    verb: str = "chose"


def write_report(path: Path, data: ReportData) -> None:
    """Write the report, whole or not at all. Raises StorageError."""
    write_bytes(path, render(data).encode())


def render(data: ReportData) -> str:
    """The report as HTML. All text from outside is escaped; titles may hold anything."""
    told = [f"<h1>{escape(data.title)}</h1>", *_paragraphs(data.summary), *_data(data)]
    for result in data.results:
        told += _result(result)
        for beside in result.get("beside", ()):
            told += _result(beside)
    for one in data.robustness:
        told += _robustness(one)
    if data.training:
        told += ["<h2>Training</h2>", _image(figures.training_curve(data.training), "validation metric by epoch")]
    told += examples(data.examples, data.checked, data.verb)
    for sensed in data.sensed:
        told += _sensed(sensed)
    if data.reproduce:
        told += ["<h2>How to reproduce this</h2>", f"<pre>{escape(chr(10).join(data.reproduce))}</pre>"]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(data.title)}</title><style>{_STYLE}{_OF_EXAMPLES}</style></head>\n<body>\n"
        + "\n".join(told)
        + "\n</body></html>\n"
    )


def _paragraphs(sentences: Sequence[str]) -> list[str]:
    return [f"<p>{escape(sentence)}</p>" for sentence in sentences]


def _data(data: ReportData) -> list[str]:
    if not data.data and data.item_counts is None:
        return []
    told = ["<h2>The data</h2>"]
    if data.data:
        rows = tuple((label, _number(value)) for label, value in data.data.items())
        told.append(_table(Table(("what", "value"), rows)))
    if data.item_counts is not None:
        told.append(_image(figures.long_tail(data.item_counts, noun=data.noun), "events by item, most popular first"))
    return told


def _result(result: Mapping[str, Any]) -> list[str]:
    """Accuracy of every system, the ladder, the curves of a stream, and how to read them."""
    users, cases = result["users"], result.get("cases", result["users"])
    asked = f"{users:,} users" if users == cases else f"{users:,} users, {cases:,} questions"
    told = [f"<h2>Accuracy: {escape(result['protocol'])}</h2>", f"<p>{asked}.{_COLD.get(result['protocol'], '')}</p>"]
    told.append(_table(accuracy_table(result)))
    told += ["<h3>The ladder, and every comparison</h3>", _table(ladder(result))]
    told.append(_image(figures.accuracy(result, metric=_headline(result)), "accuracy with intervals"))
    if result.get("blocks"):
        told += ["<h3>Averaged over users</h3>", _table(ladder(averaged_over_users(result)))]
        told.append(_image(figures.stream_curves(result), "accuracy along the stream"))
        told += ["<h3>What it costs</h3>", _table(cost_table(result))]
        if result.get("retention"):
            told += ["<h3>What is kept of the old</h3>", _table(retention_table(result))]
        if result.get("old_cases"):
            told += ["<h3>Old users and old items</h3>", _table(old_table(result))]
    told += _apart(result)
    notes = "".join(f"<li>{escape(note)}</li>" for note in result.get("notes", ()))
    return [*told, f'<ul class="notes">{notes}</ul>'] if notes else told


def _robustness(result: Mapping[str, Any]) -> list[str]:
    """What is lost under each condition, whether a wrong modality costs more than a missing one, and the curves."""
    told = [
        f"<h2>Missing and wrong modalities: {escape(result['protocol'])}</h2>",
        f"<p>{result['users']:,} users. The same fitted model, asked with items that lack a modality, have noise in "
        "its place, or another item's.</p>",
        _table(robustness_table(result)),
        _image(figures.robustness(result), "points lost by the share of items hit"),
    ]
    if result["against_missing"]:
        told += ["<h3>Is wrong worse than missing?</h3>", _table(missing_table(result))]
    notes = "".join(f"<li>{escape(note)}</li>" for note in result["notes"])
    return [*told, f'<ul class="notes">{notes}</ul>'] if notes else told


def _sensed(one: Sensed) -> list[str]:
    """A recommendation, where it would stand without each modality, and the pictures or sounds."""
    told = [f"<h2>{escape(one.title)}</h2>", *exhibits(one), *_paragraphs(one.sentences)]
    return [*told, _table(sensed_table(one))] if one.places else told


def accuracy_table(result: Mapping[str, Any]) -> Table:
    """Every metric of every system; with one target Recall says what Hit says and is left out."""
    systems = result["systems"]
    names = list(next(iter(systems.values()), {}))
    same = all(scores.get(f"recall@{n}") == scores.get(f"hit@{n}") for scores in systems.values() for n in (5, 10, 20))
    shown = [name for name in names if not (same and name.startswith("recall@"))]
    rows = [(name, *(_mean(scores[metric]["mean"]) for metric in shown)) for name, scores in systems.items()]
    return Table(("system", *shown), tuple(rows))


def cost_table(result: Mapping[str, Any]) -> Table:
    """Seconds of learning and ranking over the stream, and the time from an event to its effect."""
    rows = []
    for name in result["systems"]:
        effect = result["event_to_effect_ms"][name]
        seconds = [f"{result[what][name]:.1f}" for what in ("update_seconds", "rank_seconds")]
        rows.append((name, *seconds, f"{effect['p50']:.1f}", f"{effect['p95']:.1f}"))
    return Table(("system", "learning, s", "ranking, s", "event to effect, ms (median)", "(95 %)"), tuple(rows))


def retention_table(result: Mapping[str, Any]) -> Table:
    """Hit@10 on questions from before the stream, asked before and after it."""
    rows = []
    for name, one in result["retention"].items():
        low, high = one["ci95"]
        bounds = "" if low is None else f"[{low:+.4f}, {high:+.4f}]"
        rows.append((name, *(_mean(one[f"hit@10 {when}"]) for when in ("before", "after")), bounds))
    return Table(("system", "hit@10 before", "after", "change, 95 % interval"), tuple(rows))


def _apart(result: Mapping[str, Any]) -> list[str]:
    """Groups of cases that are listed apart, with the headline metric of each system."""
    groups = {name: group for name, group in result.get("apart", {}).items() if group["cases"]}
    if not groups:
        return []
    metric, names = _headline(result), list(result["systems"])
    rows = [
        (group.replace("_", " "), f"{told['cases']:,}", *(_mean(told["systems"][name][metric]) for name in names))
        for group, told in groups.items()
    ]
    return [f"<h3>Listed apart ({escape(metric)})</h3>", _table(Table(("cases", "number", *names), tuple(rows)))]


def _headline(result: Mapping[str, Any]) -> str:
    scores = next(iter(result["systems"].values()))
    return "ndcg@10" if "ndcg@10" in scores else next(iter(scores))


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    foot = f'<p class="foot">{escape(table.foot)}</p>' if table.foot else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"


def _image(svg: bytes, description: str) -> str:
    """As an image, not as markup: nothing inside a figure can act on the page."""
    source = base64.b64encode(svg).decode()
    return f'<div class="figure"><img alt="{escape(description)}" src="data:image/svg+xml;base64,{source}"></div>'


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _mean(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
