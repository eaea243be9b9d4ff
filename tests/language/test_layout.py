"""The template in order, and what is left out where a model's context is short."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynmm.errors import ModelError
from dynmm.language.layout import Layout, fit_prompt
from dynmm.language.settings import PRESETS, LanguageSettings

PAPER = Layout("listwise", 50, 16, "segment", 12)


def _words(text: str) -> int:
    return len(text.split())


def _texts(layout: Layout) -> int:
    """Tokens of all texts, and the user's."""
    return sum(_words(text) for text, _ in layout.pieces) + 1


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_says_how_much_history_and_evidence(preset: str) -> None:
    made = Layout.of(LanguageSettings(preset=preset, layout="listwise", candidate="title", evidence="segment"))
    assert (made.history, made.evidence) == PRESETS[preset]
    assert made == replace(PAPER, history=made.history, evidence=made.evidence)


def test_latent_candidates_have_no_title() -> None:
    assert Layout.of(LanguageSettings(candidate="latent", title_tokens=7)).titles == 0


def test_segments_stand_in_the_papers_order_between_their_markers() -> None:
    assert [role for _, role in PAPER.pieces] == ["user", "history", "evidence", "candidates"]
    told = "".join(text + f"[{role}]" for text, role in PAPER.pieces)
    assert told.startswith("System:")
    assert told.endswith("<USR>[user]</USR>\n<HIST>[history]</HIST>\n<EVID>[evidence]</EVID>\n<CANDS>[candidates]")


def test_without_a_segment_its_markers_are_gone() -> None:
    told = "".join(Layout(shown="candidate").texts.values())
    assert "EVID" not in told
    assert "<CANDS>" in told


def test_what_fits_is_left_whole() -> None:
    fitted = fit_prompt(PAPER, _words, 10_000, 20)
    assert (fitted.history, fitted.evidence, fitted.at_once, fitted.note) == (50, 16, 20, "")


def test_a_token_before_everything_takes_the_room_of_one_item() -> None:
    context = _texts(PAPER) + 30 + 16 + 20 * 13
    assert fit_prompt(PAPER, _words, context, 20, begins=1).history == 29


def test_the_oldest_history_goes_first_and_it_is_said() -> None:
    context = _texts(PAPER) + 30 + 16 + 20 * 13
    fitted = fit_prompt(PAPER, _words, context, 20)
    assert (fitted.history, fitted.evidence, fitted.at_once) == (30, 16, 20)
    assert fitted.note == f"the model reads {context} tokens, so the newest 30 of 50 history items are read"


def test_behind_the_history_the_evidence_goes_and_then_the_company() -> None:
    fitted = fit_prompt(PAPER, _words, _texts(PAPER) + 5 + 20 * 13, 20)
    assert (fitted.history, fitted.evidence, fitted.at_once) == (0, 5, 20)
    fitted = fit_prompt(PAPER, _words, _texts(PAPER) + 3 * 13 + 12, 20)
    assert (fitted.history, fitted.evidence, fitted.at_once) == (0, 0, 3)
    assert "3 of 20 candidates are read at a time" in fitted.note


def test_where_a_list_is_cut_anyway_the_past_of_the_user_is_kept() -> None:
    context = _texts(PAPER) + 50 + 16 + 12 * 13
    fitted = fit_prompt(PAPER, _words, context, 100)
    assert (fitted.history, fitted.evidence, fitted.at_once) == (50, 16, 12)
    assert fitted.note == (
        f"the model reads {context} tokens, so 12 of 100 candidates are read at a time, and see none of another time"
    )


def test_branches_keep_their_history_whatever_the_number_of_candidates() -> None:
    layout = Layout("branch", 20, 8, "candidate", 4)
    context = _texts(layout) + 20 + 3 * 5
    few, many = (fit_prompt(layout, _words, context, count) for count in (1, 1_000))
    assert (many.history, many.at_once, many.note) == (few.history, 3, "")
    assert few.history == 20


def test_one_candidate_that_does_not_fit_is_an_error_that_says_so() -> None:
    least = _texts(PAPER) + 13
    assert fit_prompt(PAPER, _words, least, 1).history == 0
    with pytest.raises(ModelError, match=f"{least} tokens, and the model reads {least - 1}"):
        fit_prompt(PAPER, _words, least - 1, 1)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["branch", "listwise"]),
    st.sampled_from(["candidate", "segment", "none"]),
    st.integers(0, 90),
    st.integers(1, 40),
    st.integers(0, 15),
    st.integers(20, 600),
    st.integers(1, 120),
)
def test_what_is_fitted_fits(
    arrangement: str, shown: str, history: int, evidence: int, titles: int, context: int, candidates: int
) -> None:
    layout = Layout(arrangement, history, evidence, shown, titles)  # type: ignore[arg-type]
    if _texts(layout) + titles + 1 > context:
        with pytest.raises(ModelError):
            fit_prompt(layout, _words, context, candidates)
        return
    fitted = fit_prompt(layout, _words, context, candidates)
    assert 1 <= fitted.at_once <= candidates
    own = titles + 1
    if arrangement == "listwise":
        used = _texts(layout) + fitted.history + fitted.evidence + fitted.at_once * own
    else:
        between = _words(layout.texts["candidates"]) if shown == "segment" else 0
        used = _texts(layout) - between + fitted.history + fitted.at_once * (between + fitted.evidence + own)
    assert used <= context
    assert not fitted.evidence or shown == "segment"
    if fitted.evidence < (evidence if shown == "segment" else 0):
        assert fitted.history == 0
