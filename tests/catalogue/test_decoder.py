"""The decoding process: what dies in it costs one item, and what it says is checked."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tests.catalogue.files import picture_file
from tests.catalogue.hostile import FORMAT, MISSING, NO_LIBRARY, SOUND

from dynmm.catalogue.content import Picture, Sound
from dynmm.catalogue.decoding.decoder import Decoder
from dynmm.catalogue.decoding.formats import FORMATS
from dynmm.catalogue.decoding.process import DecodingProcess
from dynmm.catalogue.decoding.refused import Refused
from dynmm.catalogue.decoding.settings import DecodingSettings
from dynmm.encoders.settings import EncoderSettings
from dynmm.errors import DynmmError, MissingExtraError

TABLE = (*FORMATS, FORMAT)
GOOD = picture_file()


def reasons(results: list[Picture | Sound | Refused]) -> list[str | None]:
    return [one.reason if isinstance(one, Refused) else None for one in results]


def decoded(*deeds: str, **limits: float) -> tuple[list[str | None], int]:
    """The refusals of hostile files, each between good ones, and how often the process was started again."""
    files = [GOOD]
    for deed in deeds:
        files += [b"EVIL" + deed.encode(), GOOD]
    with Decoder(DecodingSettings.model_validate(limits), TABLE) as decoder:
        refused = reasons(list(decoder.decode("image", files)))
        assert refused[::2] == [None] * (len(deeds) + 1)
        return refused[1::2], decoder.restarts


def test_a_decoder_that_hangs_costs_one_item() -> None:
    refused, restarts = decoded("hang", item_seconds=1.0)
    assert refused == ["takes longer than 1 s to decode"]
    assert restarts == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sets no limits on a process")
def test_a_decoder_that_asks_for_ten_gigabytes_is_refused_them() -> None:
    refused, restarts = decoded("allocate")
    assert refused == ["takes more memory to decode than is allowed"]
    assert restarts == 0
    with Decoder(formats=TABLE) as decoder:
        [one] = decoder.decode("image", [b"EVILallocate"])
    assert isinstance(one, Refused)
    assert not one.lasting  # with more memory it may be decoded


@pytest.mark.slow
def test_a_decoder_that_ends_the_process_costs_one_item_each_time() -> None:
    refused, restarts = decoded("segfault", "leave")
    assert [str(reason).startswith("ended the decoding process") for reason in refused] == [True, True]
    assert restarts == 4, "each was tried twice, so that a file is not blamed for the one before"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sets no limits on a process")
def test_the_system_ends_a_process_that_computes_on_and_on() -> None:
    process = DecodingProcess(max_answer=1_000)
    try:
        process.send(
            {
                "functions": {"hostile": FORMAT.function},
                "modules": [],
                "memory_bytes": 2**30,
                "item_seconds": 0.5,
                "limits": {"max_pixels": 1, "max_seconds": 1.0, "side": 16},
            }
        )
        ready = process.receive(120)
        assert ready is not None
        assert ready[0] == {"ready": True}
        process.send({"number": 1, "format": "hostile"}, b"EVILcompute")
        assert process.receive(500) is None, "the process is gone, although nobody here ended it"
    finally:
        assert process.end() != 0


def test_what_a_library_prints_is_no_answer() -> None:
    assert decoded("print") == ([None], 0)


def test_a_reason_is_short_and_printable() -> None:
    (reason,), _ = decoded("raise")
    assert reason is not None
    assert reason.startswith("bell x")
    assert len(reason) == 200


def test_an_answer_that_is_not_what_it_says_is_refused() -> None:
    nonsense = "made the decoding process answer nonsense"
    assert decoded("wrong shape") == ([nonsense], 0)
    assert decoded("too large") == ([nonsense], 0)


def test_samples_that_are_no_numbers_are_refused_by_the_parent_too() -> None:
    with Decoder(formats=(SOUND,)) as decoder:
        assert reasons(list(decoder.decode("audio", [b"EVILno number"]))) == [
            "made the decoding process answer nonsense"
        ]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to find the pipe")
def test_a_process_that_sends_nonsense_is_ended() -> None:
    refused, restarts = decoded("nonsense")
    assert [str(reason).startswith("ended the decoding process") for reason in refused] == [True]
    assert restarts == 2


def test_results_come_in_order_and_a_caller_may_stop_early() -> None:
    sizes = [(width, 10) for width in range(10, 90)]
    files = [picture_file(pixels=np.zeros((height, width, 3), np.uint8)) for width, height in sizes]
    with Decoder() as decoder:
        first = next(decoder.decode("image", files))
        assert isinstance(first, Picture)
        again = list(decoder.decode("image", [b"", *files]))
    assert isinstance(again[0], Refused)
    assert [(one.width, one.height) for one in again[1:] if isinstance(one, Picture)] == sizes


def test_nothing_is_started_for_files_that_are_refused_by_their_first_bytes() -> None:
    with Decoder(DecodingSettings(max_megabytes=0.001)) as decoder:
        results = list(decoder.decode("image", [b"", b"hello world", b"OggS" + bytes(20), bytes(1_001)]))
        assert decoder.process_id is None
    assert reasons(results) == [
        "is empty (0 bytes)",
        "begins with b'hello wo', which is none of jpeg, png, webp",
        "is ogg, which is none of jpeg, png, webp",
        "has 0.001001 MB; at most 0.001 MB are read",
    ]


def test_the_process_is_gone_after_the_block() -> None:
    with Decoder() as decoder:
        list(decoder.decode("image", [GOOD]))
        process = decoder.process_id
    assert process is not None
    assert decoder.process_id is None
    if Path("/proc/self").exists():
        assert not Path(f"/proc/{process}").exists()


def test_the_process_imports_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys, dynmm.catalogue.decoding.worker, dynmm.catalogue.decoding.pictures, "
        "dynmm.catalogue.decoding.sounds; "
        "print({'torch', 'polars', 'pydantic', 'transformers', 'scipy'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_a_process_that_cannot_start_is_told_of() -> None:
    with (
        Decoder(formats=(MISSING,)) as decoder,
        pytest.raises(DynmmError, match=r"did not start .*AttributeError.*nothing") as told,
    ):
        list(decoder.decode("image", [b"MISS"]))
    # What it says to raise can be raised.
    named = [word for word in str(told.value).split() if word.startswith("encoders.")]
    assert len(named) == 2
    assert {word.removeprefix("encoders.") for word in named} <= set(EncoderSettings.model_fields)


def test_a_missing_library_is_named_with_the_extra_that_brings_it() -> None:
    with Decoder(formats=(NO_LIBRARY,)) as decoder, pytest.raises(MissingExtraError, match=r"dynmm\[vision\]"):
        list(decoder.decode("image", [b"RARE"]))


def test_text_is_nothing_to_decode() -> None:
    with Decoder() as decoder, pytest.raises(ValueError, match="nothing to decode"):
        list(decoder.decode("text", [b"x"]))
