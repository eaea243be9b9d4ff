"""A language model in a vLLM server, out of process: asked over HTTP, by vectors alone."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from dynmm.errors import ConfigError, ModelError
from dynmm.language.remote_exchange import exchange
from dynmm.language.remote_protocol import (
    error_in,
    models_of,
    plain,
    scores_of,
    scoring_request,
    text_of,
    writing_request,
)
from dynmm.language.settings import is_address, no_address

#: Holds the key of a server that was started with ``--api-key``, so that it stands in no configuration and in no run.
KEY_VARIABLE = "DYNMM_SERVER_KEY"

#: Of latin-1, in which headers are written.
_LAST_LETTER = "\xff"

#: How long a call waits by default.
TIMEOUT_S = 30.0

#: How long a server that did not answer in time is left alone: at first, and at most; twice as long each time. Else
#: every request would wait for it anew.
PAUSES_S = (5.0, 120.0)


#: A failure that took so long counts as silence: the next call would wait as long.
_LONG_S = 1.0

#: Parts of a call with a limit of time each: to connect, to send, and to read.
_STEPS = 3


class SilentServer(ModelError):
    """The server did not answer in time."""


def server_key(given: str | None = None) -> str | None:
    """The key to ask with: the one given, else that of the environment variable `KEY_VARIABLE`; None for none.

    Raises ConfigError, which does not show it, where it has letters that cannot travel in a header.
    """
    key = given if given is not None else os.environ.get(KEY_VARIABLE)
    if key and not (key.isprintable() and max(key) <= _LAST_LETTER):
        raise ConfigError(
            f"the key of the server, as in {KEY_VARIABLE}, cannot travel in a header: it has a line break or letters "
            "beyond latin-1; set it anew, as vllm serve --api-key got it"
        )
    return key or None


class VllmServer:
    """What of a frozen language model vLLM lends: how likely a token is after a prompt of vectors, and written text.

    Start it as ``vllm serve MODEL --enable-prompt-embeds``, on a machine that you trust: prompts hold vectors of users
    and of what they took. It keeps the states of prefixes by itself. It gives no hidden states and no gradients: a
    re-ranker is trained with the same model in process, and served by this. Each call has a connection of its own, so
    any number of threads may ask.
    """

    def __init__(
        self, url: str, model: str, *, key: str | None = None, timeout_s: float = TIMEOUT_S, at_once: int = 64
    ) -> None:
        """url: of the server, e.g. ``http://127.0.0.1:8000``. model: the name under which it serves. key: where it was
        started with ``--api-key``; None takes that of the environment variable `KEY_VARIABLE`, if there is one.
        timeout_s: of a call to connect, to send, and for the whole answer, each. at_once: most prompts in one call.

        Raises ConfigError for an address that is not of http or https, and as `server_key` does.
        """
        if not is_address(url):
            raise ConfigError(no_address(url))
        # As clients of this interface often write it; the paths that are asked begin with it.
        self.url, self.model = url.rstrip("/").removesuffix("/v1"), model
        parts = urlsplit(self.url)
        self._parts, self._timeout, self._at_once = parts, timeout_s, at_once
        self._key = server_key(key)
        #: When it may be asked again, in seconds of the monotonic clock, and how long it is left alone after that.
        self._again, self._pause = 0.0, PAUSES_S[0]
        #: When it was last found silent.
        self._rested = 0.0
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise ModelError where the server does not answer, or serves other models."""
        if self.model not in (served := models_of(self._call("GET", "/v1/models"))):
            raise ModelError(f"the vLLM server at {self.url} serves {', '.join(served) or 'nothing'}, not {self.model}")

    def likelihoods(self, prompts: Sequence[Tensor], answer: int) -> Tensor:
        """(P,) float32 log-probability of a token as the next one after each of P prompts, each (N, T).

        Raises ModelError where the server is down, late, refuses or answers what cannot be read.
        """
        found = [torch.empty(0)]
        for start in range(0, len(prompts), self._at_once):
            some = prompts[start : start + self._at_once]
            answered = self._call("POST", "/v1/completions", scoring_request(self.model, some, answer))
            found.append(scores_of(answered, len(some), answer))
        return torch.cat(found)

    def write(self, prompt: Tensor, regex: str, most_tokens: int) -> str:
        """The likeliest text after a prompt (N, T) that a regular expression matches. Raises ModelError as
        `likelihoods` does."""
        request = writing_request(self.model, prompt, regex, most_tokens)
        return text_of(self._call("POST", "/v1/completions", request))

    def ready(self) -> None:
        """Raise ModelError while the server is left alone, or while another call tries whether it answers again."""
        if time.monotonic() < self._again:
            raise ModelError(f"{self._silent}, and is left alone for a while; look into its log")

    @property
    def _silent(self) -> str:
        return f"the vLLM server at {self.url} did not answer within {self._timeout:g} s"

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        began = self._begun()
        try:
            answered = self._answered(method, path, body)
        except ModelError as error:
            self._failed(began, silent=isinstance(error, SilentServer))
            raise
        # A server whose engine hangs still tells which models it has.
        if method == "POST":
            self._pause = PAUSES_S[0]
        self._again = 0.0
        return answered

    def _begun(self) -> float:
        """When a call begins. Raises as `ready` does."""
        with self._lock:
            self.ready()
            now = time.monotonic()
            if self._again:
                # It was silent, so one call tries, and others need not wait for it.
                self._again = now + _STEPS * self._timeout
            return now

    def _failed(self, began: float, *, silent: bool) -> None:
        """Leave the server alone where a failure took long; once for all calls that waited for it at the same time."""
        now = time.monotonic()
        with self._lock:
            if not silent and now - began < _LONG_S:
                self._again = 0.0
            elif began >= self._rested:
                self._rested, self._again = now, now + self._pause
                self._pause = min(2 * self._pause, PAUSES_S[1])

    def _answered(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            status, content = self._exchange(method, path, body)
        except TimeoutError as error:
            raise SilentServer(self._silent) from error
        except (OSError, http.client.HTTPException) as error:
            raise ModelError(
                f"no vLLM server answers at {self.url} ({type(error).__name__}: {plain(str(error))}); start it as "
                f"vllm serve {self.model} --enable-prompt-embeds"
            ) from error
        answered = _parsed(content)
        if status != 200:
            raise ModelError(self._refusal(status, error_in(answered)))
        if answered is None:
            raise ModelError(f"the vLLM server at {self.url} answered with what is no JSON: is it another service?")
        return answered

    def _exchange(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        """Status and content. Raises as `exchange` does."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        content = None if body is None else json.dumps(body).encode()
        return exchange(self._parts, method, path, content, headers, self._timeout)

    def _refusal(self, status: int, said: str) -> str:
        what = f"the vLLM server at {self.url} refused with {status}" + (f": {said}" if said else "")
        if status in (401, 403):
            return f"{what}; give the key that it was started with in the environment variable {KEY_VARIABLE}"
        if status == 404:
            return f"{what}; is {self.model} the name that it serves under?"
        if 400 <= status < 500:
            return f"{what}; is it started with --enable-prompt-embeds, and does it serve the model trained with?"
        return f"{what}; look into its log"


def _parsed(content: bytes) -> Any:
    """The JSON value, None where it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
