"""A read-out by the frozen model's own words: the log-probability of one answer token after a candidate.

The trained read-out of `soft` reads hidden states, which a server of language models does not lend. This one needs
nothing but what every such server tells, so a re-ranker that was trained with it can be served by one.
"""

from __future__ import annotations

from torch import Tensor, nn

from dynmm.errors import ModelError
from dynmm.language.contracts import FrozenModel

#: The word that stands for "this is the next item". Which one hardly matters: the soft tokens are trained for it.
ANSWER = " yes"


def answer_token(model: FrozenModel, word: str = ANSWER) -> int:
    """The first token of the answer. Raises ModelError for a model that has no token for it."""
    tokens = model.tokens(word)
    if not tokens:
        raise ModelError(f"the model has no token for {word!r}: choose another answer word")
    return tokens[0]


class AnswerReadOut(nn.Module):
    """The last hidden state at a candidate's own token to its score; in the place of `soft.ReadOut`.

    Trained are a scale and a shift alone.
    """

    def __init__(self, model: FrozenModel, answer: int) -> None:
        super().__init__()
        # In a tuple, so that neither its parameters nor its state become this module's.
        self._frozen = (model,)
        self.answer = answer
        self.score = nn.Linear(1, 1)
        nn.init.ones_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., T) to (...) float32."""
        return self.scaled(self._frozen[0].logits(hidden).log_softmax(-1)[..., self.answer])

    def scaled(self, likelihoods: Tensor) -> Tensor:
        """Log-probabilities (...) to scores (...)."""
        out: Tensor = self.score(likelihoods[..., None]).squeeze(-1)
        return out
