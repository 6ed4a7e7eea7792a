"""Keras's files, opened: the configuration as it stands there, and the weights."""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from typing import Any

from .._core.files import open_regular
from .hdf5_file import Folder, reading_hdf5

_TEXT_ALWAYS_ALLOWED = 4 << 20
_TEXT_LARGEST_RATIO = 2
_ALWAYS_ALLOWED = 64 << 20
_LARGEST_RATIO = 16
_WEIGHTS = "model.weights.h5"


@contextlib.contextmanager
def open_weights(path: str) -> Iterator[tuple[Folder, int, dict[str, Any] | None]]:
    """Give the HDF5 root of a .keras or .h5 file, its size, and Keras 3's configuration if any.

    What a zip holds is inflated into memory, within 64 MB and 16 times the file's size, and
    never written anywhere. Raises ValueError for more, or for what is no such file.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(4)
        file.seek(0)
        if start != b"PK\x03\x04":
            with reading_hdf5(file, size) as root:
                yield root, size, None
            return
        with zipfile.ZipFile(file) as archive:
            _check_members(archive.infolist(), size)
            config = parsed(archive.read("config.json"), size)
            weights = archive.read(_WEIGHTS)
    with reading_hdf5(io.BytesIO(weights), len(weights)) as root:
        yield root, len(weights), config


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    if len({info.filename for info in members}) != len(members):
        raise ValueError("two parts have one name")
    for info in members:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{info.filename!r} is compressed in a way that Keras does not use")
    total = sum(info.file_size for info in members)
    allowed = _ALWAYS_ALLOWED + _LARGEST_RATIO * size
    if total > allowed:
        raise ValueError(f"its {size:,} bytes would become {total:,}; at most {allowed:,} are read")
    missing = {"config.json", _WEIGHTS} - {info.filename for info in members}
    if missing:
        raise ValueError(f"it has no {min(missing)!r}")


def parsed(text: str | bytes, size: int) -> dict[str, Any]:
    """Return the object that a JSON text of a file of `size` bytes tells of."""
    allowed = _TEXT_ALWAYS_ALLOWED + _TEXT_LARGEST_RATIO * size
    if len(text) > allowed:
        raise ValueError(f"its text has {len(text):,} bytes; at most {allowed:,} are read")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"its configuration is a {type(found).__name__}, not an object")
    return found
