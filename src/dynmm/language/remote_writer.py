"""Words for verified claims by a model in a vLLM server, held to a regular expression; as `writing` does in process."""

from __future__ import annotations

import logging
import re

import torch

from dynmm.errors import ModelError
from dynmm.language.remote import SilentServer, VllmServer
from dynmm.language.writing import MOST, NoTextError, Order, WritingModel, Written, beginning_of, prompt_and_room
from dynmm.types import OneOf, Phrase

logger = logging.getLogger(__name__)

#: What means something in the regular expressions of every engine that vLLM uses.
_MEANING = re.compile(r"[\\.^$|?*+()\[\]{}]")


def regex_of(phrase: Phrase) -> str:
    """The texts of a phrase as one regular expression of literals: nothing of the catalogue is interpreted."""
    if isinstance(phrase, str):
        return _MEANING.sub(r"\\\g<0>", phrase)
    if isinstance(phrase, OneOf):
        return f"({'|'.join(map(regex_of, phrase.ways))})"
    return "".join(map(regex_of, phrase))


class RemoteWriter:
    """Writes with the model of a server. Its text stands only where the check holds, else the plain words do."""

    def __init__(self, model: WritingModel, server: VllmServer, *, most: int = MOST) -> None:
        """model: the same one, asked for tokens and their vectors alone. most: tokens of a text."""
        self._model, self._server, self._most = model, server, most

    @torch.no_grad()
    def write(self, order: Order) -> Written:
        """The server's text where it wrote one and the check holds, else the order's plain words and why."""
        begun = beginning_of(self._model)
        try:
            prompt, room = prompt_and_room(self._model, order, len(begun), self._most)
            vectors = self._model.embed(torch.tensor([*begun, *prompt], device=self._model.device))
            # Words of most tokenizers carry the space before them.
            text = self._server.write(vectors, " " + regex_of(order.phrase), room).removeprefix(" ")
        except NoTextError as error:
            return Written(order.plain, error.why)
        except ModelError as error:
            logger.warning("a text was replaced by its plain words: %s", error)
            return Written(order.plain, "late" if isinstance(error, SilentServer) else "failed")
        return Written(text) if order.check(text) else Written(order.plain, "not verified")
