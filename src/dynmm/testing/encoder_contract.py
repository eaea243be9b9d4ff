"""The contract of `dynmm.encoders.encoder.Encoder`, as checks that anyone can run on an encoder of their own.

    import pytest
    from dynmm.testing import ENCODER_CHECKS

    @pytest.mark.parametrize("check", ENCODER_CHECKS, ids=lambda check: check.__name__)
    def test_my_encoder(check):
        check(MyEncoder)

or, all at once, `check_encoder(MyEncoder)`. Each check takes a factory of equally made encoders, and raises
`ContractBroken`, which says what was promised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from dynmm.catalogue.content import MODALITIES
from dynmm.encoders.encoder import Encoded, Encoder
from dynmm.testing.contract import require
from dynmm.testing.samples import sample_contents
from dynmm.testing.state import state_hash
from dynmm.types import FloatArray

EncoderFactory = Callable[[], Encoder]
EncoderCheck = Callable[[EncoderFactory], None]

#: How far a row may lie from itself in another batch, as a share of its length: products may be in bfloat16.
_ROUNDING = 0.02


def check_encoder(factory: EncoderFactory) -> None:
    """Run every check."""
    for check in ENCODER_CHECKS:
        check(factory)


def check_is_an_encoder(factory: EncoderFactory) -> None:
    """It says what it takes and what it gives."""
    encoder = factory()
    require(
        isinstance(encoder, Encoder), "an encoder has modality, width, attribute_names, identity and the method encode"
    )
    require(encoder.modality in MODALITIES, f"the modality is one of {', '.join(MODALITIES)}")
    require(isinstance(encoder.width, int) and encoder.width > 0, "the width is a positive whole number")
    names = encoder.attribute_names
    require(
        isinstance(names, tuple) and len(set(names)) == len(names), "the names of attributes are a tuple, each once"
    )
    require(all(isinstance(name, str) and name.strip() == name != "" for name in names), "each attribute has a name")


def check_vectors_are_sound(factory: EncoderFactory) -> None:
    """(B, W) finite float32 for any batch of any content, strange ones too; attributes in [0, 1] with names."""
    encoder = factory()
    contents = sample_contents(encoder.modality)
    for batch in (contents, contents[:1], contents[::-1], contents[:2] * 3):
        _require_sound(encoder, encoder.encode(batch), len(batch))


def check_rows_stand_alone(factory: EncoderFactory) -> None:
    """A row depends on its own content alone: neither on the other rows nor on their order."""
    encoder = factory()
    contents = sample_contents(encoder.modality)
    together = encoder.encode(contents)
    alone = [encoder.encode([content]) for content in contents]
    backwards = encoder.encode(contents[::-1])
    promise = "a row depends on its own content alone, not on the rest of its batch"
    _require_close(together.vectors, np.concatenate([one.vectors for one in alone]), promise)
    _require_close(together.vectors, backwards.vectors[::-1], promise)
    if together.attributes is not None and backwards.attributes is not None:
        words = np.concatenate([one.attributes for one in alone if one.attributes is not None])
        near = np.abs(together.attributes - words) <= _ROUNDING
        near &= np.abs(together.attributes - backwards.attributes[::-1]) <= _ROUNDING
        require(bool(near.all()), "attributes depend on their own content alone")


def check_contents_are_told_apart(factory: EncoderFactory) -> None:
    """Different contents get different vectors, or there would be nothing to learn from."""
    encoder = factory()
    vectors = encoder.encode(sample_contents(encoder.modality)[:2]).vectors
    require(not np.array_equal(vectors[0], vectors[1]), "different contents get different vectors")


def check_identity_names_the_vectors(factory: EncoderFactory) -> None:
    """Encoders made alike have one identity and give the same; encoding does not change it."""
    first, second = factory(), factory()
    identity = first.identity
    require(isinstance(identity, str) and identity != "", "an encoder has an identity")
    require(identity == second.identity, "encoders made alike have the same identity, in every process")
    contents = sample_contents(first.modality)
    one, other, again = first.encode(contents), second.encode(contents), first.encode(contents)
    for repeated in (other, again):
        _require_close(one.vectors, repeated.vectors, "equal identities give equal vectors")
    require(first.identity == identity, "encoding does not change the identity")


def check_encoding_changes_nothing(factory: EncoderFactory) -> None:
    """Neither the parameters, which are frozen, nor the contents, nor a global generator."""
    encoder = factory()
    contents = sample_contents(encoder.modality)
    encoder.encode(contents[:1])  # what is loaded with the first content is there now
    for module in _modules(encoder):
        trained = [name for name, one in module.named_parameters() if one.requires_grad]
        require(not trained and not module.training, "parameters are frozen, and modules in evaluation mode")

    def everything() -> str:
        parameters = [dict(module.state_dict()) for module in _modules(encoder)]
        return state_hash([parameters, contents, np.random.get_state(), torch.get_rng_state()])

    before = everything()
    encoder.encode(contents)
    require(everything() == before, "encoding changes neither parameters, contents nor a global generator")


ENCODER_CHECKS: tuple[EncoderCheck, ...] = (
    check_is_an_encoder,
    check_vectors_are_sound,
    check_rows_stand_alone,
    check_contents_are_told_apart,
    check_identity_names_the_vectors,
    check_encoding_changes_nothing,
)


def _require_sound(encoder: Encoder, encoded: Encoded, rows: int) -> None:
    vectors, words, names = encoded.vectors, encoded.attributes, encoder.attribute_names
    require(vectors.shape == (rows, encoder.width), "vectors have one row for each content, as wide as `width` says")
    require(vectors.dtype == np.float32 and bool(np.isfinite(vectors).all()), "vectors are finite float32")
    if not names:
        require(words is None, "without names there are no attributes")
        return
    require(words is not None and words.shape == (rows, len(names)), "attributes have a column for each name")
    assert words is not None
    require(words.dtype == np.float32, "attributes are float32")
    known = words[~np.isnan(words)]
    require(bool(((known >= 0) & (known <= 1)).all()), "attributes lie in [0, 1], or are NaN where not known")


def _require_close(one: FloatArray, other: FloatArray, promise: str) -> None:
    length = np.maximum(np.linalg.norm(one, axis=1), 1e-6)
    require(bool((np.linalg.norm(one - other, axis=1) <= _ROUNDING * length).all()), promise)


def _modules(value: Any, depth: int = 3) -> Iterator[torch.nn.Module]:
    """The torch modules that an object holds in its attributes, or those of what it holds."""
    if isinstance(value, torch.nn.Module):
        yield value
    elif depth and isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for part in value:
            yield from _modules(part, depth - 1)
    elif depth:
        for part in getattr(value, "__dict__", {}).values():
            yield from _modules(part, depth - 1)
