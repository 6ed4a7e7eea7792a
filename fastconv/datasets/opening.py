"""The data set that a command is given, in whatever form."""

from __future__ import annotations

import os
from pathlib import Path

from ..preprocessing.parts import DataSet, find_data_set
from .dogs_and_cats import unpacked


def open_data_set(path: str | os.PathLike[str], progress: bool = True) -> DataSet:
    """Return the data set in a folder, or in a zip, which is unpacked into the cache; with
    `progress`, a line on stderr says so.

    Raises:
        FileNotFoundError: there is no such folder or file.
        PermissionError: the folder cannot be listed.
        ValueError: the zip is damaged or unsafe, or there is no data set.
    """
    given = Path(path).expanduser()
    if not given.exists():
        raise FileNotFoundError(
            f"there is no {str(given)!r}; give a folder with one sub-folder per class, or with "
            "train/ and validation/, or a zip of one"
        )
    if not given.is_file():
        return find_data_set(given)
    return find_data_set(unpacked(given, lambda folder: _root(folder, given), progress))


def _root(folder: Path, archive: Path) -> Path:
    """Return the data set's folder in one that a zip is being unpacked in."""
    try:
        return Path(find_data_set(folder).folder)
    except ValueError as error:
        raise ValueError(str(error).replace(str(folder), str(archive))) from None
