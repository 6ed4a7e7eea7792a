"""NumPy archives (.npz) that are written whole or not at all, and read without trust."""

from __future__ import annotations

import io
import math
import os
import uuid
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

_FORMAT = np.lib.format
_ZIP_START = b"PK\x03\x04"
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class CheckpointError(ValueError):
    """A file that cannot be taken as a checkpoint: the message says which and why."""


def write(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays` by name to `path`, so that `numpy.load(path)` gives them back.

    A reader, or a crash at any moment, finds the old file or the new one: it
    is written beside `path`, flushed to the disk and then renamed. A symbolic
    link keeps pointing where it does. Raises FileNotFoundError if the folder
    is missing.
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"{path!r} cannot be written: there is no folder {folder!r}; make it"
        )
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with open(temporary, "xb") as file:
            _write_zip(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _write_zip(file: io.BufferedWriter, arrays: Mapping[str, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            # A ZipInfo of our own has a fixed date: equal contents make equal files.
            info = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(info, "w", force_zip64=True) as member:
                _FORMAT.write_array(member, np.asarray(array), allow_pickle=False)


def _sync_folder(folder: str) -> None:
    """Put the renaming itself on the disk, where the system lets a folder be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return all arrays of an archive by name, in the order they were written.

    Every member's checksum is verified and nothing is unpickled. Raises
    FileNotFoundError, or CheckpointError for a file that is damaged or is no
    NumPy archive.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"checkpoint {path!r} does not exist")
    if os.path.isdir(path):
        raise IsADirectoryError(f"checkpoint {path!r} is a folder; give a .npz file")
    with open(path, "rb") as file:
        start = file.read(len(_ZIP_START))
        if start != _ZIP_START:
            what = "is empty" if not start else "is not a fastconv checkpoint (no NumPy archive)"
            raise CheckpointError(f"{path}: the file {what}")
        try:
            with zipfile.ZipFile(file) as archive:
                return {
                    info.filename.removesuffix(".npy"): _parse(archive.read(info), info.filename)
                    for info in archive.infolist()
                }
        except _BAD_ZIP as error:
            raise CheckpointError(
                f"{path}: the file is damaged ({error}); use another checkpoint"
            ) from None


def _parse(data: bytes, name: str) -> np.ndarray:
    """Return the array that the bytes of a .npy file hold; raise ValueError unless it is whole."""
    stream = io.BytesIO(data)
    version = _FORMAT.read_magic(stream)
    if version == (1, 0):
        shape, fortran_order, dtype = _FORMAT.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran_order, dtype = _FORMAT.read_array_header_2_0(stream)
    else:
        raise ValueError(f"{name} has the unknown array format {version}")
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are never unpickled")
    if math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"{name} does not hold the {shape} array it announces")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran_order else "C").copy()
