"""One batch through an encoder that others may have written: what it gives is looked at before it is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynmm.catalogue.content import Content
from dynmm.encoders.encoder import Encoded, Encoder
from dynmm.encoders.table import TABLE
from dynmm.errors import ConfigError, DynmmError
from dynmm.memory import memory_named

_MEND = "mend it; dynmm.testing.check_encoder tells what else it must hold to"


def encode_checked(encoder: Encoder, name: str, contents: Sequence[Content]) -> Encoded:
    """The vectors of B contents, (B, W), and attributes, (B, A). name: of the encoder, for errors.

    Raises ConfigError where a shape is not what the encoder said, and where one of a person's own fails, OutOfMemory.
    """
    made = _encoded(encoder, name, contents)
    if not isinstance(made, Encoded):
        raise ConfigError(f"the encoder {name!r} gives a {type(made).__name__} in place of an Encoded; {_MEND}")
    _check(name, "vectors", np.shape(made.vectors), (len(contents), encoder.width), "width")
    names = len(encoder.attribute_names)
    if made.attributes is not None or names:
        given = () if made.attributes is None else np.shape(made.attributes)
        _check(name, "attributes", given, (len(contents), names), "attribute_names")
    return made


def _encoded(encoder: Encoder, name: str, contents: Sequence[Content]) -> Encoded:
    batch = f"a batch of {len(contents)} for the encoder {name!r} (encoders.{encoder.modality}_batch)"
    try:
        with memory_named(batch):
            return encoder.encode(contents)
    except DynmmError:
        raise
    except Exception as error:  # somebody else's code raises anything
        if name in TABLE:
            raise
        raise ConfigError(
            f"the encoder {name!r} failed on a batch of {len(contents)} ({type(error).__name__}: {error}); {_MEND}"
        ) from error


def _check(name: str, what: str, given: tuple[int, ...], wanted: tuple[int, int], field: str) -> None:
    if given != wanted:
        raise ConfigError(
            f"the encoder {name!r} gives {what} of shape {given} for a batch of {wanted[0]}, and {wanted} is what "
            f"its {field} says: one row for each content; {_MEND}"
        )
