"""The prompt as data: which text stands where, where soft tokens go, and what is left out where they do not all fit.

The template is the paper's (Fig. 3): system, user, history, evidence, candidates. Its markers are plain text to the
model. What is told about the task stands in the system text rather than after the candidates: stable parts come first,
so that the states of a user's prefix can be kept, and what follows a candidate is not read by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dynmm.errors import ModelError
from dynmm.language.settings import PRESETS, LanguageSettings

#: Candidates that a list has at least, where they are read in several passes and the context has room for as many.
_LIST = 10

#: What soft tokens of a segment stand for.
Role = Literal["user", "history", "evidence", "candidates"]
Arrangement = Literal["branch", "listwise"]
Shown = Literal["candidate", "segment", "none"]


@dataclass(frozen=True)
class Segment:
    """A text, the soft tokens of a role behind it, and a closing text. No role: a text alone."""

    opening: str
    role: Role | None = None
    closing: str = ""


TEMPLATE = (
    Segment("System: You are a recommendation assistant.\n"),
    Segment("<USR>", "user", "</USR>\n"),
    Segment("<HIST>", "history", "</HIST>\n"),
    Segment("<EVID>", "evidence", "</EVID>\n"),
    Segment("<CANDS>", "candidates"),
)


@dataclass(frozen=True)
class Layout:
    """What a prompt holds.

    arrangement: `branch`, each candidate sees what is before all candidates, and itself. `listwise`, it sees the
    candidates before it, too. history: L, most items. evidence: E, most tokens of the evidence segment. shown: where
    facts stand. titles: most title tokens before a candidate's own token, 0 for that token alone.
    """

    arrangement: Arrangement = "branch"
    history: int = PRESETS["short"][0]
    evidence: int = PRESETS["short"][1]
    shown: Shown = "candidate"
    titles: int = 0
    template: tuple[Segment, ...] = TEMPLATE

    @classmethod
    def of(cls, settings: LanguageSettings) -> Layout:
        """As the settings ask for it."""
        history, evidence = PRESETS[settings.preset]
        titles = settings.title_tokens if settings.candidate == "title" else 0
        return cls(settings.layout, history, evidence, settings.evidence, titles)

    @property
    def pieces(self) -> tuple[tuple[str, Role], ...]:
        """Every role of the prompt in order, with the text between it and the one before."""
        found: list[tuple[str, Role]] = []
        text = ""
        for segment in self.template:
            if segment.role == "evidence" and self.shown != "segment":
                continue
            text += segment.opening
            if segment.role is not None:
                found.append((text, segment.role))
                text = ""
            text += segment.closing
        return tuple(found)

    @property
    def texts(self) -> dict[Role, str]:
        """The text before the soft tokens of each role."""
        return {role: text for text, role in self.pieces}


@dataclass(frozen=True)
class FittedPrompt:
    """What of a layout fits into a model's context.

    history, evidence: most items and evidence tokens. at_once: candidates that are read in one pass. note: what was
    left out and why, empty where everything fits.
    """

    history: int
    evidence: int
    at_once: int
    note: str = ""


def fit_prompt(
    layout: Layout, count: Callable[[str], int], context: int, candidates: int, *, begins: int = 0
) -> FittedPrompt:
    """Make a prompt of so many candidates fit: the oldest history goes first.

    count: tokens of a text. context: most tokens that the model reads at once. begins: tokens before the first text.
    Where the history is gone and it still does not fit, the weakest evidence goes. Listwise candidates that would not
    fit by themselves are read in several passes, beside the whole history where it leaves room for a list. (Candidates
    in branches are read in passes from the start: passes do not change what they see.) Raises ModelError where system,
    user and one candidate do not fit.
    """
    own = layout.titles + 1
    branching = layout.arrangement == "branch"
    texts = sum(count(text) for text, _ in layout.pieces) + 1 + begins
    at_least = 1 if branching else candidates
    if texts + own * at_least > context:
        at_least = min(candidates, _LIST)  # in passes anyway: then the user's own past is worth more than fewer of them
    wanted = own * at_least
    if texts + own > context:
        raise ModelError(
            f"the prompt's text, the user and one candidate are {texts + own} tokens, and the model reads {context}: "
            "choose a model with a longer context or a tokenizer with words, or fewer title_tokens"
        )
    evidence = layout.evidence if layout.shown == "segment" else 0
    history = max(0, min(layout.history, context - texts - evidence - wanted))
    evidence = max(0, min(evidence, context - texts - history - wanted))
    left = context - texts - history
    if branching:
        between = count(layout.texts["candidates"]) if layout.shown == "segment" else 0
        at_once = (left + between) // (between + evidence + own)
    else:
        at_once = (left - evidence) // own
    at_once = min(candidates, max(1, at_once))
    return FittedPrompt(history, evidence, at_once, _told(layout, history, evidence, at_once, candidates, context))


def _told(layout: Layout, history: int, evidence: int, at_once: int, candidates: int, context: int) -> str:
    lost = []
    if history < layout.history:
        lost.append(f"the newest {history} of {layout.history} history items are read")
    if layout.shown == "segment" and evidence < layout.evidence:
        lost.append(f"{evidence} of {layout.evidence} evidence tokens are read")
    if layout.arrangement == "listwise" and at_once < candidates:
        lost.append(f"{at_once} of {candidates} candidates are read at a time, and see none of another time")
    return f"the model reads {context} tokens, so {'; '.join(lost)}" if lost else ""
