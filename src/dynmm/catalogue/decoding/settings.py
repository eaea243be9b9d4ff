"""The limits of the decoders."""

from __future__ import annotations

from pydantic import Field

from dynmm.configuration import Settings


class DecodingSettings(Settings):
    """What a picture or a sound may be and may cost. Whatever is beyond a limit is left out, with the reason."""

    max_megabytes: float = Field(8.0, description="The largest file, in MB (10^6 bytes).", gt=0, le=64)
    max_megapixels: float = Field(16.0, description="The largest picture, by its header.", gt=0, le=64)
    max_seconds: float = Field(60.0, description="The longest sound, in seconds, by its header.", gt=0, le=600)
    side: int = Field(512, description="Pictures are scaled down to this longer side, in pixels.", ge=16, le=2048)
    memory_mb: int = Field(1024, description="Memory of the decoding process, in MB (2^20 bytes).", ge=256)
    item_seconds: float = Field(20.0, description="How long one item may take to decode, in seconds.", gt=0)
    start_seconds: float = Field(120.0, description="How long the decoding process may take to start.", gt=0)

    @property
    def decisive(self) -> str:
        """The limits that decide what a decoded file holds, as JSON.

        What the others refuse is tried again, so nothing that is kept follows from memory and time.
        """
        return self.model_dump_json(exclude={"memory_mb", "item_seconds", "start_seconds"})
