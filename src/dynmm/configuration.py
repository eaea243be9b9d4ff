"""The base of every component's configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A small frozen configuration that rejects unknown keys and documents each field where it stands.

    Each field is declared as ``name: type = Field(default, description="...", ge=...)``; the description
    is what `dynmm config` prints.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
