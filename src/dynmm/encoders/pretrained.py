"""Where pretrained weights lie: a folder, or a name on the hub whose data files alone are fetched.

Nothing that could run is ever fetched or read: no code of a model's own, no pickled weights.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from pathlib import Path

from dynmm.errors import ConfigError, MissingExtraError
from dynmm.storage import sha256_of

logger = logging.getLogger(__name__)

_DATA_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


def weights_folder(path_or_name: str | Path, *, extra: str, offline: str = "") -> Path:
    """The folder of a model: the path itself, else what the hub's local copy or the hub has under this name.

    extra: of dynmm, for the error where huggingface_hub lacks. offline: what does without the hub, for the
    error where it cannot be reached. Raises ConfigError, MissingExtraError.
    """
    name, path = str(path_or_name), Path(path_or_name).expanduser()
    if name and path.is_dir():
        return _sound(path)
    if not name or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ConfigError(f"there is no folder {name!r} with a pretrained model")
    return _sound(_from_hub(name, extra, offline))


def _from_hub(name: str, extra: str, offline: str) -> Path:
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise MissingExtraError(f"models on the hub need huggingface_hub: pip install 'dynmm[{extra}]'") from None
    kept = list(_DATA_FILES)
    try:
        copy = Path(hub.snapshot_download(name, allow_patterns=kept, local_files_only=True))
        if next(copy.rglob("*.safetensors"), None) is not None:
            return copy
    except (OSError, ValueError):
        logger.info("there is no local copy of %s; the hub is asked", name)
    try:
        return Path(hub.snapshot_download(name, allow_patterns=kept))
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        mend = "give the path of a folder that holds the model" + (f", or {offline}" if offline else "")
        raise ConfigError(
            f"{name!r} is no folder here, and the hub did not give a model of that name ({reason}); {mend}"
        ) from error


def _sound(folder: Path) -> Path:
    """The folder, if its weights are data. Raises ConfigError."""
    if next(folder.rglob("*.safetensors"), None) is None:
        found = sorted(path.name for pattern in _PICKLED for path in folder.rglob(pattern))
        held = f"only {', '.join(found[:3])}, which could run code" if found else "none"
        raise ConfigError(f"{folder} has no weights in the safetensors format ({held}); save the model as safetensors")
    for path in sorted(folder.rglob("pytorch_model.bin")):
        if next(path.parent.glob("*.safetensors"), None) is None:
            raise ConfigError(f"{path} could run code when it is read; save the model as safetensors")
    return folder


def weights_hash(folder: Path) -> str:
    """The sha256 of everything that decides what a pretrained model gives: its weights, settings and vocabulary."""
    digest = hashlib.sha256()
    paths = {path for pattern in _DATA_FILES for path in folder.rglob(pattern) if path.is_file()}
    for path in sorted(paths):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()
