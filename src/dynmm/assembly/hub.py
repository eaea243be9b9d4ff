"""Publishing to a model hub and reading from it."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

from dynmm.artefact import MODEL
from dynmm.assembly.saving import write_model
from dynmm.errors import ArtefactError, MissingExtraError
from dynmm.recommender import Recommender


def is_hub_name(text: str) -> bool:
    owner, slash, name = text.partition("/")
    return bool(slash and owner and name) and "/" not in name and not text.startswith((".", "/", "~"))


def _hub() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ModuleNotFoundError:
        raise MissingExtraError("models on the hub need huggingface_hub: pip install 'dynmm[text]'") from None


def download(name: str) -> Path:
    try:
        hub = _hub()
    except MissingExtraError as error:
        raise ArtefactError(f"there is no folder {name!r}. If it is a model on the hub: {error}") from None
    try:
        return Path(hub.snapshot_download(name))
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ArtefactError(
            f"there is no folder {name!r}, and the hub did not give a model of that name: {first}"
        ) from error


def push_to_hub(recommender: Recommender, repository: str, **options: Any) -> str:
    """Upload `model/` alone: no user id, no event. options: of `create_repo`, e.g. private=True."""
    hub = _hub()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / MODEL
        write_model(recommender, folder)
        hub.create_repo(repository, exist_ok=True, **options)
        # A file of an earlier model that this one lacks would not belong to it.
        answer = hub.upload_folder(
            repo_id=repository, folder_path=str(folder), commit_message="dynmm model", delete_patterns="*"
        )
        return str(answer)
