"""A stand-in for a vLLM server: what it documents of `/v1/completions` with prompt_embeds, over a tiny model.

Prompts are decoded without running anything that stands in them: the pickle of the tensor's shape is taken apart
opcode by opcode, and only what `torch.save` writes for one dense tensor is known.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import pickletools
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from torch import Tensor

from dynmm.language.causal import CausalModel

_STORAGES = {"torch FloatStorage": torch.float32, "torch BFloat16Storage": torch.bfloat16}
_KNOWN = {*_STORAGES, "torch._utils _rebuild_tensor_v2", "collections OrderedDict"}


class Refused(Exception):
    """A request that vLLM answers with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def unpacked(text: str) -> Tensor:
    """The tensor of a prompt. Raises Refused for anything but one dense tensor of two dimensions, and all of it."""
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(text, validate=True))) as archive:
        stem = next(name for name in archive.namelist() if name.endswith("data.pkl"))[: -len("data.pkl")]
        operations = list(pickletools.genops(archive.read(f"{stem}data.pkl")))
        content = archive.read(f"{stem}data/0")
        assert archive.read(f"{stem}byteorder") == b"little"
    called = {str(argument) for operation, argument, _ in operations if operation.name == "GLOBAL"}
    numbers = [int(str(argument)) for operation, argument, _ in operations if operation.name.startswith("BININT")]
    (kind,) = called & _STORAGES.keys() or {""}
    if not called <= _KNOWN or not kind or len(numbers) != 6:
        raise Refused(400, "`prompt_embeds` payload did not deserialize to a torch.Tensor.")
    stored, offset, rows, width, stride, step = numbers
    if (stored, offset, stride, step) != (rows * width, 0, width, 1):
        raise Refused(400, "more than the prompt itself was sent")
    return torch.frombuffer(bytearray(content), dtype=_STORAGES[kind]).view(rows, width)


class StandIn:
    """What is served, what was asked, and which fault is to be shown."""

    def __init__(self, model: CausalModel, name: str = "tiny", key: str | None = None) -> None:
        self.model, self.name, self.key = model, name, key
        self.requests: list[dict[str, Any]] = []
        self.fault = ""
        self.hold = threading.Event()
        self.url = ""

    def models(self) -> Any:
        return {"object": "list", "data": [{"id": self.name, "object": "model", "max_model_len": self.model.context}]}

    def complete(self, asked: dict[str, Any]) -> Any:
        self.requests.append(asked)
        if asked.get("model") != self.name:
            raise Refused(404, f"The model `{asked.get('model')}` does not exist.")
        if self.fault == "no embeds":
            raise Refused(400, "You must set `--enable-prompt-embeds` to input `prompt_embeds`.")
        sent = asked["prompt_embeds"]
        prompts = [unpacked(one) for one in ([sent] if isinstance(sent, str) else sent)]
        choices = [self._choice(index, prompt, asked) for index, prompt in enumerate(prompts)]
        if self.fault == "shuffled":
            choices.reverse()
        if self.fault == "one short":
            choices.pop()
        return {"id": "cmpl-1", "object": "text_completion", "model": self.name, "choices": choices, "usage": {}}

    def _choice(self, index: int, prompt: Tensor, asked: dict[str, Any]) -> dict[str, Any]:
        if prompt.shape[1] != self.model.width:
            raise Refused(400, f"`prompt_embeds` hidden_size {prompt.shape[1]} does not match the model's hidden_size")
        if len(prompt) + asked["max_tokens"] > self.model.context:
            raise Refused(400, f"This model's maximum context length is {self.model.context} tokens.")
        if "structured_outputs" in asked:
            return self._written(index, asked)
        length = len(prompt)
        visible = torch.ones(1, length, length, dtype=torch.bool).tril()
        hidden, _ = self.model.run(prompt[None], visible, torch.arange(length)[None])
        likely = self.model.logits(hidden[0, -1]).log_softmax(-1)
        allowed = asked["allowed_token_ids"]
        sampled = int(likely.argmax()) if self.fault == "ignores allowed" else max(allowed, key=lambda one: likely[one])
        value: Any = 0.0 if self.fault == "processed" else max(float(likely[sampled]), -9999.0)
        value = {"not a number": float("nan"), "text": "low"}.get(self.fault, value)
        assert asked["return_tokens_as_token_ids"]
        token = f"token_id:{sampled}"
        told = {"tokens": [token], "token_logprobs": [value], "top_logprobs": [{token: value}], "text_offset": [0]}
        return {"index": index, "text": "", "logprobs": told, "finish_reason": "length"}

    def _written(self, index: int, asked: dict[str, Any]) -> dict[str, Any]:
        """No rule is followed here: an output that keeps to that of the tests."""
        assert list(asked["structured_outputs"]) == ["regex"]
        text = "because"
        enough = asked["max_tokens"] >= len(text)
        return {"index": index, "text": text[: asked["max_tokens"]], "finish_reason": "stop" if enough else "length"}


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn

    def do_GET(self) -> None:
        self._answer(lambda: self.stand_in.models())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(lambda: self.stand_in.complete(asked))

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _answer(self, make: Any) -> None:
        fault = self.stand_in.fault
        status, content = 200, b""
        if fault == "slow":
            self.stand_in.hold.wait(30)
        if fault == "hangs up":
            self.close_connection = True
            return
        try:
            if self.stand_in.key and self.headers["Authorization"] != f"Bearer {self.stand_in.key}":
                raise Refused(401, "Unauthorized")
            if fault == "fails":
                raise Refused(500, "EngineCore encountered an issue.")
            content = json.dumps(make()).encode()
        except Refused as error:
            status = error.status
            content = json.dumps({"error": {"message": str(error), "type": "error", "code": status}}).encode()
        if fault == "web page":
            content = b"<html>welcome</html>"
        if fault == "other json":
            content = b'{"hello": "world"}'
        if fault == "moved":
            status = 302
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)


@contextlib.contextmanager
def serving(model: CausalModel, *, name: str = "tiny", key: str | None = None) -> Iterator[StandIn]:
    """A server on a free port of this machine, until the block ends."""
    stand_in = StandIn(model, name, key)
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
