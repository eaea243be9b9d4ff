"""What is said to a vLLM server and what it answers: its Completions API with `prompt_embeds`, as JSON values.

vLLM reads a prompt given as vectors from the base64 text of what `torch.save` writes for one dense tensor (tokens,
width), and from nothing else: safetensors or NumPy bytes are refused. It reads them with ``weights_only``. That form is
written here and never read: nothing that comes back is anything but JSON.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dynmm.errors import ModelError

#: A server whose log-probabilities are taken after all but the answer was forbidden finds the answer certain.
_RAW = "start vllm serve with --logprobs-mode raw_logprobs, which is its default"

#: What rounding may lift a log-probability above 0.
_ROUNDING = 1e-3


def packed(vectors: Tensor) -> str:
    """One prompt (N, T) as vLLM reads it. Only these vectors are written, whatever tensor they are a part of."""
    # torch.save writes all of the memory that a view looks into, so with it other people's rows of the batch.
    own = vectors.detach().cpu().contiguous().clone()
    buffer = io.BytesIO()
    torch.save(own, buffer)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def scoring_request(model: str, prompts: Sequence[Tensor], answer: int) -> dict[str, Any]:
    """Ask how likely one token is after each prompt (N, T).

    All other tokens are forbidden, so the answer is the one that is sampled, and the log-probability of a sampled token
    is always told; vLLM takes it before anything was forbidden.
    """
    return {
        "model": model,
        "prompt_embeds": [packed(one) for one in prompts],
        "max_tokens": 1,
        "temperature": 0.0,
        "logprobs": 1,
        "allowed_token_ids": [answer],
        "return_tokens_as_token_ids": True,
    }


def scores_of(answered: Any, count: int, answer: int) -> Tensor:
    """(count,) float32 log-probabilities of the answer token, in the order of the prompts.

    Raises ModelError where the server answered anything else.
    """
    found: dict[int, float] = {}
    for choice in _choices(answered, count):
        index, told = choice.get("index"), choice.get("logprobs")
        if not isinstance(index, int) or isinstance(index, bool) or not isinstance(told, Mapping):
            raise _malformed("a choice without index or logprobs")
        tokens, values = told.get("tokens"), told.get("token_logprobs")
        if not (isinstance(tokens, list) and isinstance(values, list) and len(tokens) == len(values) == 1):
            raise _malformed("logprobs of other than one token")
        if tokens[0] != f"token_id:{answer}":
            raise ModelError(
                f"the vLLM server sampled {_shown(tokens[0])} where only token {answer} was allowed: it serves another "
                "vocabulary, or is older than allowed_token_ids and return_tokens_as_token_ids; update it"
            )
        found[index] = _likelihood(values[0])
    if sorted(found) != list(range(count)):
        raise _malformed(f"choices other than the {count} prompts'")
    scores = torch.tensor([found[index] for index in range(count)], dtype=torch.float32)
    if count > 1 and bool((scores == 0).all()):
        raise ModelError(f"the vLLM server finds every answer certain: {_RAW}")
    return scores


def _likelihood(value: Any) -> float:
    """A log-probability; where it is no finite number, it is so here, too. Raises ModelError for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _malformed(f"a log-probability {_shown(value)}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if found > _ROUNDING:
        raise _malformed("a log-probability above 0")
    return found


def writing_request(model: str, prompt: Tensor, regex: str, most_tokens: int) -> dict[str, Any]:
    """Ask for a text after a prompt (N, T) that a regular expression matches, the likeliest at each token."""
    return {
        "model": model,
        "prompt_embeds": packed(prompt),
        "max_tokens": most_tokens,
        "temperature": 0.0,
        "structured_outputs": {"regex": regex},
    }


def text_of(answered: Any) -> str:
    """The text that was written. Raises ModelError where there is none, or it was cut off."""
    (choice,) = _choices(answered, 1)
    text = choice.get("text")
    if not isinstance(text, str):
        raise _malformed("a choice without text")
    if choice.get("finish_reason") != "stop":
        raise ModelError(f"the vLLM server stopped writing at {_shown(choice.get('finish_reason'))}: allow more tokens")
    return text


def error_in(answered: Any) -> str:
    """What the server says went wrong, shortened; empty where it says nothing."""
    told = answered.get("error", answered) if isinstance(answered, Mapping) else {}
    message = told.get("message", "") if isinstance(told, Mapping) else told
    return plain(message) if isinstance(message, str) else ""


def models_of(answered: Any) -> list[str]:
    """The names of the models that a server serves. Raises ModelError where it does not say."""
    listed = answered.get("data") if isinstance(answered, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise _malformed("no list of models")
    return [plain(one["id"]) for one in listed if isinstance(one.get("id"), str)]


def _choices(answered: Any, count: int) -> list[Mapping[str, Any]]:
    choices = answered.get("choices") if isinstance(answered, Mapping) else None
    if not isinstance(choices, list) or not all(isinstance(one, Mapping) for one in choices):
        raise _malformed("no list of choices")
    if len(choices) != count:
        raise _malformed(f"{len(choices)} choices for {count} prompts")
    return choices


def _shown(value: Any) -> str:
    """What the server sent, short and harmless enough for a message."""
    return repr(plain(value)) if isinstance(value, str) else f"of {type(value).__name__}"


def plain(text: str) -> str:
    """Shortened, and without what moves a terminal or breaks a line of a log."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:300])


def _malformed(what: str) -> ModelError:
    return ModelError(f"the vLLM server answered with {what}: is the address that of its OpenAI-compatible API?")
