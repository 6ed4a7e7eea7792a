"""Keras's folder of downloaded files, and what is fetched into it."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from ..datasets.downloads import download

_BLOCK_BYTES = 1 << 20


def cache_folder() -> Path:
    """Return Keras's folder of data sets: in `KERAS_HOME`, else in `~/.keras`."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"


def fetched(name: str, address: str, sha256: str | None = None) -> Path:
    """Return the file `name` of Keras's folder, fetched from `address` where it is not there.

    A file that is there and is not the published one is fetched anew, as Keras does; where that
    fails it is used as it is, with a warning. Raises ConnectionError where there is no file.
    """
    path = cache_folder() / name
    if path.is_file() and (sha256 is None or digest(path) == sha256):
        return path
    print(f"Downloading data from {address}", file=sys.stderr, flush=True)
    try:
        _fetch(address, path, sha256)
    except (OSError, ValueError) as error:
        if not path.is_file():
            raise ConnectionError(
                f"{name} cannot be downloaded ({error}); put the file into {path.parent}"
            ) from None
        warnings.warn(
            f"{path} is not the file that Keras publishes, which cannot be downloaded ({error}); "
            "it is used as it is",
            stacklevel=3,
        )
    return path


def _fetch(address: str, path: Path, sha256: str | None) -> None:
    """Write what is at an address to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / "part"
        download(address, part)
        if sha256 is not None and digest(part) != sha256:
            raise ValueError(f"what is at {address} is not the published file: its SHA-256 differs")
        part.replace(path)


def digest(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    file_hash: str | None = None,
    extract: bool = False,
    untar: bool = False,
    cache_subdir: str = "datasets",
    **options: Any,
) -> str:
    """Return the path of a file in Keras's folder, fetched from `origin` where it is not there.

    Nothing is unpacked: with `extract` or `untar`, and with a folder of one's own, ValueError.
    """
    if origin is None:
        raise ValueError("get_file: origin is None; it must be an address")
    if not origin.startswith(("http://", "https://")):
        raise ValueError(f"get_file: origin is {origin!r}; it must be an address, https://...")
    if extract or untar or options or cache_subdir != "datasets":
        raise ValueError(
            "get_file: fastconv unpacks nothing here; leave out all but fname, origin and "
            "file_hash, or unpack the archive yourself and give its folder"
        )
    name = fname or os.path.basename(origin)
    if os.path.basename(name) != name or name in ("", ".", ".."):
        raise ValueError(f"get_file: fname is {name!r}; it must be a file's name without folders")
    return str(fetched(name, origin, file_hash))
