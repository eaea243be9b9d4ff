"""Losses under missing and wrong modalities: known answers, claims in words, the figure and the report."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.evaluation.fakes import Fixed, cases, dataset

from dynmm.catalogue.corruption import FULL, Condition
from dynmm.errors import ConfigError
from dynmm.evaluation import figures
from dynmm.evaluation.protocols import Exam, full
from dynmm.evaluation.report import ReportData, render
from dynmm.evaluation.robustness import (
    RATES,
    Robustness,
    asked_conditions,
    conditions,
    missing_table,
    robustness_table,
    run_robustness,
)
from dynmm.evaluation.scores import Resampling

ITEMS, USERS = 60, 800
NO_IMAGE, NO_TEXT = Condition("drop", ("image",)), Condition("drop", ("text",))
HALF, WRONG = Condition("drop", ("image",), 0.5), Condition("wrong", ("image",))


@pytest.fixture(scope="module")
def exam() -> Exam:
    """Each user has one target; that of user u is item 20 + u % 40."""
    train = dataset([(user, item, user + item) for user in range(3) for item in range(3)], n_items=ITEMS)
    return full(train, cases([[0]] * USERS, [[20 + user % 40] for user in range(USERS)]))


def hitting(share: float) -> Fixed:
    """Ranks ten of the forty targets first, or fewer: a quarter of all users is hit at share 1."""
    scores = np.zeros(ITEMS)
    scores[20 : 20 + round(10 * share)] = 1 + np.arange(round(10 * share))
    scores[1:20] = 0.5 + 0.01 * np.arange(19)
    return Fixed(scores)


@pytest.fixture(scope="module")
def found(exam: Exam) -> Robustness:
    systems = {FULL: 1.0, HALF: 1.0, NO_IMAGE: 0.9, NO_TEXT: 1.0, WRONG: 0.5}
    under = {condition: [hitting(share)] for condition, share in systems.items()}
    return run_robustness(exam, under, how=Resampling(300), data_sha256="abc")


def test_losses_are_in_points_of_the_full_condition(found: Robustness) -> None:
    told = found.to_json()
    losses = {(one["condition"], one["metric"]): one for one in told["losses"]}
    assert losses["drop image=0.5", "hit@10"]["points"] == 0
    assert losses["drop image=0.5", "hit@10"]["verdict"] == "no loss shown"
    one_target_of_forty = losses["drop image=1", "hit@10"]
    assert one_target_of_forty["points"] == pytest.approx(2.5)
    low, high = one_target_of_forty["ci95"]
    assert 1 < low < 2.5 < high < 4
    assert one_target_of_forty["verdict"] == "loss"
    assert one_target_of_forty["significant"]
    assert told["systems"]["full"]["hit@10"]["mean"] == pytest.approx(0.25)
    assert {metric for _, metric in losses} == {"hit@10", "ndcg@10"}
    assert not any(name == "full" for name, _ in losses)


def test_claims_hold_the_loss_against_its_margin(found: Robustness) -> None:
    claims = {one["condition"]: one for one in found.to_json()["claims"]}
    assert set(claims) == {"drop image=1", "drop text=1", "wrong image=1"}
    assert claims["drop text=1"]["verdict"] == "not inferior"
    assert claims["drop text=1"]["margin"] == 1.0
    assert claims["drop image=1"]["margin"] == 0.5
    assert claims["drop image=1"]["verdict"] == "inferior"
    assert claims["drop image=1"]["at_most"] > claims["drop image=1"]["points"] == pytest.approx(2.5)


def test_a_loss_of_just_the_margin_is_not_shown_to_be_below_it(exam: Exam) -> None:
    told = run_robustness(
        exam, {FULL: [hitting(1)], NO_IMAGE: [hitting(0.9)]}, margins={frozenset(["image"]): 0.025}, how=Resampling(50)
    ).to_json()
    assert told["claims"][0]["verdict"] == "not shown"
    assert "not shown: at most" in robustness_table(told).rows[1][-1]


def test_wrong_is_held_against_missing_at_the_same_rate(found: Robustness) -> None:
    told = {one["metric"]: one for one in found.to_json()["against_missing"]}
    assert told["hit@10"]["condition"] == "wrong image=1"
    assert told["hit@10"]["missing"] == "drop image=1"
    assert told["hit@10"]["points"] == pytest.approx(10.0)
    assert told["hit@10"]["verdict"] == "loss"


def test_the_tables_read_as_text(found: Robustness) -> None:
    told = json.loads(json.dumps(found.to_json()))
    text = robustness_table(told).to_text()
    row = next(line for line in text.splitlines() if line.startswith("drop image=1"))
    assert "0.2250" in row
    assert "+2.50 [" in row
    assert "loss*" in row
    assert "inferior: at most" in row
    assert "0.5 allowed" in row
    assert next(line for line in text.splitlines() if line.startswith("full")).split()[:2] == ["full", "0.2500"]
    assert "wrong image=1  drop image=1  +10.00 [" in missing_table(told).to_text()


def test_full_must_be_among_the_conditions(exam: Exam) -> None:
    with pytest.raises(ValueError, match="full"):
        run_robustness(exam, {NO_IMAGE: [hitting(1)]})


def test_seeds_are_averaged(exam: Exam) -> None:
    told = run_robustness(exam, {FULL: [hitting(1)], NO_IMAGE: [hitting(1), hitting(0.8)]}, how=Resampling(50))
    assert told.losses()[0].difference == pytest.approx(0.025)


def test_every_condition_that_is_worth_a_curve() -> None:
    names = [one.name for one in conditions(["image", "text"])]
    assert names[0] == "full"
    assert len(names) == len(set(names)) == 1 + 2 * 3 * len(RATES) + len(RATES)
    assert {"drop text+image=1", "drop image=0.25", "noise text=0.5", "wrong image=0.75"} < set(names)
    assert [one.name for one in conditions(["audio"], rates=[0, 1], kinds=["drop"])] == ["full", "drop audio=1"]


def test_conditions_as_a_command_line_names_them() -> None:
    assert [one.name for one in asked_conditions(["text=1", "image=1"], [])] == [
        "full",
        "drop text=1",
        "drop image=1",
        "drop text+image=1",
    ]
    assert [one.name for one in asked_conditions(["image=0.5"], ["image=0.5"])] == [
        "full",
        "drop image=0.5",
        "noise image=0.5",
        "wrong image=0.5",
    ]
    assert len(asked_conditions(["audio"], [])) == 1 + len(RATES)


@pytest.mark.parametrize(
    ("text", "said"),
    [("video", "'video' is no modality"), ("image=half", "'half' is no share"), ("image=2", "between 0 and 1")],
)
def test_conditions_that_cannot_be_are_named(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        asked_conditions([text], [])
    with pytest.raises(ConfigError, match=said):
        asked_conditions([], [text])


def test_the_figure_is_drawn_the_same_each_time(found: Robustness) -> None:
    image = figures.robustness(found.to_json())
    assert ElementTree.fromstring(image).tag.endswith("svg")
    assert image == figures.robustness(found.to_json())
    assert figures.robustness(found.to_json(), form="png").startswith(b"\x89PNG")


def lines(told: dict[str, Any], patch: pytest.MonkeyPatch) -> dict[str, tuple[list[float], list[float]]]:
    """Label -> what the figure's line is drawn through."""
    drawn: dict[str, tuple[list[float], list[float]]] = {}

    def noted(figure: Any, form: str) -> bytes:
        for line in figure.axes[0].get_lines():
            drawn[str(line.get_label())] = (list(line.get_xdata()), list(line.get_ydata()))
        return b""

    patch.setattr(figures, "_bytes", noted)
    figures.robustness(told)
    return drawn


def test_a_curve_starts_at_the_full_features_and_goes_by_rate(
    found: Robustness, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = lines(found.to_json(), monkeypatch)
    rates, points = drawn["image missing"]
    assert rates == [0, 50, 100]
    assert points == pytest.approx([0, 0, 2.5])
    assert drawn["image another item's"][1] == pytest.approx([0, 12.5])
    assert drawn["text missing"][1] == [0, 0]


def test_the_report_tells_it(found: Robustness) -> None:
    page = render(ReportData("A run", robustness=[found.to_json()]))
    for word in ("Missing and wrong modalities: full", "Is wrong worse than missing?", "drop image=1", "not inferior"):
        assert word in page, word
    assert page.count("<img ") == 1
    assert "Is wrong worse" not in render(ReportData("A run", robustness=[dict(found.to_json(), against_missing=[])]))
