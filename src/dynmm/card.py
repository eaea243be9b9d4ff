"""The model card: what a published model is, in Markdown, from its manifest's facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynmm.interactions.dataset import Dataset


def card(facts: Mapping[str, Any], catalogue: Dataset) -> str:
    """Markdown for `model/README.md`. It names no user and no event."""
    data, split = facts["data"], facts["split"]
    licence, width = catalogue.info.licence or "not stated", facts["config"]["backbone"]["width"]
    lines = [
        f"# A dynmm recommender for {data['name']}",
        "",
        f"It recommends a {catalogue.info.noun} among {catalogue.n_items:,} from the history of one user.",
        "",
        f"- Data: {data['name']}, sha256 `{data['sha256']}`. Licence of the data: {licence}.",
        f"- Split: {split['name']} ({split['description']}).",
        f"- Model: SASRec, {width} wide; dynmm {facts['dynmm']}; seed {facts['seeds'][0]}.",
        f"- Re-ranker: {_reranker(facts['rerank'])}.",
        f"- Fitted: {facts['created']}.",
        *[f"- Note: {note}." for note in facts["notes"]],
        "",
        "## Validation",
        "",
        "Full ranking over the catalogue less the user's history. These cases chose the epoch"
        + (", and which re-ranker serves, if any" if (facts["rerank"] or {}).get("kinds") else "")
        + ", so they flatter."
        + (" Measured before the refit on all events." if facts.get("refitted") else ""),
        "",
        "| metric | mean | 95 % interval |",
        "|---|---|---|",
    ]
    for name, cell in facts["validation"].items():
        if name in ("hit@10", "ndcg@10", "mrr"):
            low, high = cell["ci95"]
            lines.append(f"| {name} | {cell['mean']:.4f} | {low:.4f} to {high:.4f} |")
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from dynmm import Recommender",
        "",
        'recommender = Recommender.from_pretrained("this/model")',
        f'recommender.recommend_session(["{catalogue.items.decode(0)}"], k=5)',
        "```",
        "",
        "Files are checked against `manifest.json` when they are loaded. There is no user data in this folder.",
        "",
    ]
    return "\n".join(lines)


def _reranker(told: Mapping[str, Any] | None) -> str:
    if told is None:  # a run of an earlier version
        return "none"
    if told["why"]:
        return f"none ({told['why']})"
    return f"{told['chosen']}, gamma {told['gamma']:g}"
