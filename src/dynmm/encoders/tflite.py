"""The door to models in TensorFlow Lite's format."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmm.errors import ConfigError, MissingExtraError
from dynmm.storage import sha256_of


class LiteModel:
    """A model with one input, read from a file; its inner tensors can be looked at. Not for several threads at once.

    file: a `.tflite` file, or a folder with exactly one. threads: of the interpreter. Raises ConfigError where
    there is no such model, MissingExtraError without the runtime.
    """

    def __init__(self, file: Path, threads: int) -> None:
        self.file = lite_file(file)
        self.sha256 = sha256_of(self.file)
        self._interpreter = _interpreter(self.file, threads)
        self._details = {int(one["index"]): one for one in self._interpreter.get_tensor_details()}
        (self._input,) = self._interpreter.get_input_details()
        self.output = int(self._interpreter.get_output_details()[0]["index"])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """With the leading 1 of a batch of one."""
        return tuple(int(size) for size in self._input["shape"])

    @property
    def input_type(self) -> np.dtype[Any]:
        kind: np.dtype[Any] = np.dtype(self._input["dtype"])
        return kind

    def pooled(self, width: int) -> int:
        """The index of the last inner tensor with `width` values and nothing else, such as (1, 1, 1, width).

        In an image or sound classifier these are the pooled features that the classes are computed from.
        """
        shapes = {index: [int(size) for size in one["shape"]] for index, one in self._details.items()}
        found = [
            index for index, shape in shapes.items() if len(shape) > 1 and shape == [1] * (len(shape) - 1) + [width]
        ]
        if not found:
            raise ConfigError(
                f"{self.file} has no layer of {width} pooled features: it holds another model than the one expected"
            )
        return max(found)

    def run(self, value: NDArray[Any]) -> None:
        """Compute every tensor. value: of the input's shape and type."""
        self._interpreter.set_tensor(int(self._input["index"]), np.ascontiguousarray(value))
        self._interpreter.invoke()

    def tensor(self, index: int) -> NDArray[np.float32]:
        """What the last `run` left in a tensor, flat, with its scale and zero point applied where it has them."""
        stored = self._interpreter.get_tensor(index)
        scale, zero = self._details[index]["quantization"]
        flat: NDArray[np.float32] = stored.reshape(-1).astype(np.float32)
        return (flat - np.float32(zero)) * np.float32(scale) if scale else flat


def lite_file(place: Path) -> Path:
    """The one `.tflite` file that a path means: itself, or the only one of a folder. Raises ConfigError."""
    place = place.expanduser()
    if place.is_file():
        return place
    if not place.is_dir():
        raise ConfigError(f"{place} does not exist: give a .tflite file, or a folder with one")
    files = sorted(place.glob("*.tflite"))
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise ConfigError(f"{place} holds {len(files)} .tflite files ({names}): name the one to use")
    return files[0]


def _interpreter(file: Path, threads: int) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError(
            f"{file} is a TensorFlow Lite model, and its runtime is not installed: pip install 'dynmm[tflite]'"
        ) from error
    try:
        with warnings.catch_warnings():
            # It says that inner tensors are kept in memory, which is what is wanted here.
            warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors.*")
            found = Interpreter(str(file), num_threads=threads, experimental_preserve_all_tensors=True)
            found.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"{file} cannot be read as a TensorFlow Lite model: {error}") from error
    return found
