"""The kinds of files that hold models or weights: how each is told, and which module knows it.

One table for `save`, `save_weights` and ModelCheckpoint, which choose by the suffix, and for
`load_model` and `load_weights`, which choose by the content. A kind is added by a row here and a
module with the functions that the row tells of.
"""

from __future__ import annotations

import importlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from .files import open_regular


@dataclass(frozen=True)
class ModelFormat:
    """A kind of file.

    `home` is imported when such a file is first met. Of these it has the functions in `does`:

        load_model(path, compile) -> model     raises CheckpointError for a file that it refuses
        load_weights(model, path)              on an error the model is left as it was
        save_model(model, path)                whole or not at all
        save_weights(model, path)

    and, where it saves, `check_saving(model, path, weights_only)`, which raises what these would.
    """

    #: How errors call such a file.
    name: str
    #: By which `save` and `save_weights` choose it, in lower case.
    suffixes: tuple[str, ...]
    #: Whether an open file is of this kind; it never raises for a file of another.
    recognizes: Callable[[BinaryIO], bool]
    home: str
    does: frozenset[str]
    #: Whether a training can go on from such a file, bit for bit.
    resumable: bool = False

    def function(self, operation: str) -> Callable[..., Any]:
        """Return what `home` has for an operation that is in `does`, or for `check_saving`."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.home), operation)
        return found


def format_to_write(path: str | os.PathLike[str], operation: str, owner: str) -> ModelFormat:
    """Return the format that a path's suffix asks `save_model` or `save_weights` for.

    Raises ValueError, naming `owner`, for a suffix of none, and for one of a format that does not
    have the operation.
    """
    given = os.fsdecode(path)
    found = _by_suffix(given)
    if found is not None and operation in found.does:
        return found
    able = [one for one in FORMATS if operation in one.does]
    suffixes = " or ".join(repr(suffix) for one in able for suffix in one.suffixes)
    why = "by which the kind of file is chosen"
    if found is not None:
        what = "no weights alone" if operation == "save_weights" else "no whole model"
        why = f"since {found.name} is written with {what}"
        if found.suffixes == (".onnx",):
            why = "since ONNX keeps no training; model.export(path) writes what predicts"
    raise ValueError(
        f"{owner}: path is {given!r}; it must end in {suffixes}, {why}; "
        f"give {os.path.splitext(given)[0] + able[0].suffixes[0]!r}"
    )


def format_to_read(path: str | os.PathLike[str], operation: str, owner: str) -> ModelFormat:
    """Return the format of a file that is there, by its content; what is unknown by its suffix.

    What is neither is taken for fastconv's own, whose reader says what is wrong with it, and so is
    a path with nothing to read. Raises ValueError for a format that does not have the operation.
    """
    given = os.fsdecode(path)
    found = _by_content(given) or _by_suffix(given) or FORMATS[0]
    if operation in found.does:
        return found
    remedy = "load_weights reads it" if "load_weights" in found.does else "load_model reads it"
    what = "no weights alone" if operation == "load_weights" else "no whole model"
    raise ValueError(f"{owner}: {given!r} is {found.name}, which holds {what}; {remedy}")


def _by_suffix(path: str) -> ModelFormat | None:
    lower = path.lower()
    return next((one for one in FORMATS if lower.endswith(one.suffixes)), None)


def _by_content(path: str) -> ModelFormat | None:
    if not os.path.isfile(path):
        return None
    with open_regular(path) as file:
        for one in FORMATS:
            file.seek(0)
            if one.recognizes(file):
                return one
    return None


def _is_archive(file: BinaryIO) -> bool:
    return file.read(4) == b"PK\x03\x04" and not _is_keras(file)


def _is_keras(file: BinaryIO) -> bool:
    """Whether a zip has Keras's members; the first one's name tells as a rule."""
    file.seek(0)
    start = file.read(30 + len(_KERAS_FIRST))
    if start[:4] != b"PK\x03\x04":
        return False
    if start[30:] == _KERAS_FIRST:
        return True
    try:
        with zipfile.ZipFile(file) as archive:
            return "config.json" in archive.NameToInfo
    except Exception:  # no zip after all
        return False


def _is_hdf5(file: BinaryIO) -> bool:
    return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _is_safetensors(file: BinaryIO) -> bool:
    start = file.read(9)
    size = int.from_bytes(start[:8], "little")
    return start[8:] == b"{" and 2 <= size <= os.fstat(file.fileno()).st_size - 8


def _is_onnx(file: BinaryIO) -> bool:
    """Whether a file begins with the version of ONNX's format and another field of a model."""
    start = file.read(3)
    return len(start) == 3 and start[0] == 0x08 and 0 < start[1] < 100 and start[2] in _ONNX_FIELDS


# As Protocol Buffers write them: number << 3 | kind, of what a model may have behind its version.
_ONNX_FIELDS = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72)
_KERAS_FIRST = b"metadata.json"
_ALL = frozenset({"load_model", "load_weights", "save_model", "save_weights"})

#: The first is fastconv's own.
FORMATS: list[ModelFormat] = [
    ModelFormat(
        "a NumPy archive", (".npz",), _is_archive, "fastconv.models.archives", _ALL, resumable=True
    ),
    ModelFormat(
        "a Keras file",
        (".keras",),
        _is_keras,
        "fastconv.models.keras_files",
        frozenset({"load_model", "load_weights", "save_model"}),
    ),
    ModelFormat("an HDF5 file", (".h5", ".hdf5"), _is_hdf5, "fastconv.models.keras_files", _ALL),
    ModelFormat(
        "a safetensors file",
        (".safetensors",),
        _is_safetensors,
        "fastconv.saving.safetensors_file",
        frozenset({"load_weights", "save_weights"}),
    ),
    ModelFormat(
        "an ONNX file",
        (".onnx",),
        _is_onnx,
        "fastconv.onnx.reading",
        frozenset({"load_model"}),
    ),
]
