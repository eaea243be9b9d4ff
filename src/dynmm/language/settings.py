"""Configuration of the re-ranking stage and of the language model."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from dynmm.configuration import Settings

#: What may re-rank. `auto` lets validation choose among the fitted ones.
Kind = Literal["language", "mlp", "transformer", "none"]
RerankChoice = Literal["auto", "language", "mlp", "transformer", "none"]

#: (history items, evidence tokens) by preset: about 128, 256 and 384 tokens with 20 candidates of two tokens each.
PRESETS: dict[str, tuple[int, int]] = {"short": (20, 8), "medium": (50, 16), "long": (80, 32)}


#: A wait of a day, beyond which clocks of threads do not go everywhere.
MOST_WAIT_MS = 86_400_000.0

#: Attention heads of the small transformer, which share `RerankSettings.hidden`.
HEADS = 4

#: Keys of `LanguageSettings` that change nothing of what is trained.
_SERVING = ("served_as", "deadline_ms", "words_deadline_ms", "cache_prefixes", "batch_wait_ms", "writes")


def no_address(url: str) -> str:
    """What is said of one that is none; a name and password in it are not repeated."""
    return (
        f"{url.rpartition('@')[2]!r} is no address of a server: write it as http://127.0.0.1:8000, without a name, a "
        "password or a question in it"
    )


def is_address(url: str) -> bool:
    """Whether a text names a server by http or https and a host, a port that is one where it names any, and no more.

    A path may follow. A name and password, or a question, would not be sent.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        more = "@" in parts.netloc or parts.query or parts.fragment
        plain = url.isprintable() and " " not in url and parts.path.isascii()
        return parts.scheme in ("http", "https") and bool(host) and parts.port != 0 and plain and not more
    except ValueError:
        return False


class RerankSettings(Settings):
    """How a re-ranker is trained and what it is asked; the same for every kind."""

    model_config = ConfigDict(allow_inf_nan=False)

    candidates: int = Field(100, ge=2, description="Best items of the stages below that are re-ranked.")
    users: int = Field(30_000, ge=1, description="Most users whose held-back event trains a re-ranker, drawn by seed.")
    least_users: int = Field(200, ge=2, description="With fewer answers among the candidates nothing is re-ranked.")
    epochs: int = Field(16, ge=1, description="Passes over the training questions of the mlp and the transformer.")
    batch: int = Field(256, ge=1, description="Questions in a training step of the mlp and the transformer.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate of AdamW for the controls.")
    weight_decay: float = Field(1e-2, ge=0, description="Weight decay of AdamW.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.2, description="Dropout in training.")
    hidden: int = Field(
        128,
        ge=8,
        description="Width of the layers of the mlp and of the small transformer, for which it is a multiple of 4.",
    )
    rank: int = Field(4, ge=1, description="Numbers that the latents of users and items are projected to.")
    members: int = Field(
        5,
        ge=1,
        description="Perceptrons of the mlp, whose mean is its score: steadier, and as much slower. Each learns "
        "nothing from another `held` of the users, who choose.",
    )
    held: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2,
        description="Share of the users whose answers train nothing, and choose the epoch and the weight; of the mlp, "
        "for each member another.",
    )
    validated: int = Field(
        5_000, ge=1, description="Most validation questions that choose among the re-rankers, drawn by seed."
    )
    gammas: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5),
        min_length=1,
        description="Weights of the re-ranker that held-back users choose from.",
    )

    def taught(self) -> RerankSettings:
        """The same without what only chooses among those that are trained, for the keys of what was trained."""
        return self.model_copy(update={"validated": type(self).model_fields["validated"].default})


class LanguageSettings(Settings):
    """The frozen language model, what it reads, and how what feeds it is trained."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: str = Field(
        "compact",
        description="compact: a small model pretrained on the catalogue's own text. minilm: the frozen sentence "
        "encoder all-MiniLM-L6-v2. Else a folder, or a name on the hub, of a causal language model.",
    )
    weights: Literal["pretrained", "random"] = Field(
        "pretrained",
        description="random: a control, the same architecture with weights drawn anew, so that what is credited to "
        "language is language's.",
    )
    layout: Literal["branch", "listwise"] = Field(
        "branch",
        description="branch: each candidate sees the prefix and itself, so that order cannot matter. listwise: "
        "candidates see those before them, as in the paper.",
    )
    preset: Literal["short", "medium", "long"] = Field(
        "short", description="History items and evidence tokens in the prompt: 20 and 8, 50 and 16, or 80 and 32."
    )
    candidate: Literal["latent", "title"] = Field(
        "latent", description="latent: one soft token for each candidate. title: its title's tokens before it."
    )
    title_tokens: int = Field(12, ge=1, description="Most tokens of a title in the prompt.")
    evidence: Literal["candidate", "segment", "none"] = Field(
        "candidate",
        description="candidate: facts are summed into the candidate's own token. segment: the paper's evidence tokens "
        "before the candidates. none: the model is shown no facts.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the frozen model; auto is bfloat16 where the device computes in it."
    )
    recompute: bool = Field(
        False,
        description="Whether training computes the states within each layer of the model again in the backward pass "
        "instead of keeping them: less memory, a third more time.",
    )
    epochs: int = Field(3, ge=1, description="Passes over the training questions.")
    questions: int = Field(
        2_000,
        ge=1,
        description="Most training questions, drawn by seed: on two cores each takes a tenth of a second in a pass.",
    )
    batch: int = Field(32, ge=1, description="Questions in a training step.")
    drawn: int = Field(20, ge=1, description="Candidates in a training question, the answer among them.")
    learning_rate: float = Field(5e-4, gt=0, description="Peak learning rate of AdamW; the paper's Table 7.")
    faithfulness: float = Field(0.1, ge=0, description="Weight of L_faith (paper, Eq. 12, its sign corrected).")
    wording: float = Field(
        0.0,
        ge=0,
        description="Weight of L_nlp (paper, Eq. 12): the words of a rationale that verifies, or of "
        "explanations.parquet, after the soft tokens of each answer. Takes a causal model; 0 leaves it out.",
    )
    margin: float = Field(0.05, ge=0, description="delta of L_faith, in log-probability.")
    writes: bool = Field(
        False,
        description="Whether the model words reasons, too: it chooses among texts that tell the same claims, each text "
        "is checked claim by claim, and plain words stand where it fails. Takes a causal model.",
    )
    pretrain_seconds: float = Field(
        180.0,
        gt=0,
        description="Time for the compact model's pretraining: on a processor its time by thread, which other programs "
        "do not use up, and at most three times as long by the wall clock; on a GPU by the wall clock.",
    )
    pretrain_steps: int | None = Field(
        None, ge=1, description="Steps of that pretraining in place of a time: the same steps give the same model."
    )
    cache_prefixes: int = Field(1_024, ge=0, description="Prefix states kept in memory, the latest used ones.")
    batch_wait_ms: float | None = Field(
        None,
        ge=0,
        le=MOST_WAIT_MS,
        description="Longest wait of a question for those of other threads, up to 8 of which are then read in one run, "
        "for services on a GPU: each gets what it would get alone to 1e-5 in float32. null: each is read by itself.",
    )
    server: str | None = Field(
        None,
        description="Address of a vLLM server that serves this very model, e.g. http://127.0.0.1:8000: it ranks and "
        "words in place of this process; null: in process. Takes a causal model and the layout branch. Its key, if it "
        "wants one, stands in the environment variable DYNMM_SERVER_KEY.",
    )
    served_as: str = Field("model", description="The name under which the server serves it.")
    deadline_ms: float | None = Field(
        None,
        gt=0,
        le=MOST_WAIT_MS,
        description="Longest wait for the re-ranker; behind it the score stands as it is, and says so.",
    )
    words_deadline_ms: float | None = Field(
        None,
        gt=0,
        le=MOST_WAIT_MS,
        description="Longest wait for the words of one reason; behind it plain words stand. null: a server has 30 "
        "seconds, a model in process as long as it takes.",
    )

    def taught(self) -> LanguageSettings:
        """The same without what serving alone reads, for the keys of what was trained.

        Of the server only whether there is one is left: its read-out is trained, its address is not.
        """
        told = {name: type(self).model_fields[name].default for name in _SERVING}
        return self.model_copy(update=told | {"server": None if self.server is None else "a server"})

    @field_validator("server")
    @classmethod
    def _an_address(cls, server: str | None) -> str | None:
        if server is not None and not is_address(server):
            raise ValueError(no_address(server))
        return server

    @model_validator(mode="after")
    def _a_server_batches_by_itself(self) -> LanguageSettings:
        if self.server is not None and self.batch_wait_ms is not None:
            raise ValueError(
                "batch_wait_ms groups questions that this process reads, and a server groups them by itself: "
                "leave it out beside server"
            )
        return self
