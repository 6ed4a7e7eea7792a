"""Folders that data sets live in: where the cache is, and how one comes to be at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder that holds downloaded and drawn data sets; it may not exist yet.

    FASTCONV_DATA if set, else `fastconv` in XDG_CACHE_HOME or ~/.cache.

    Raises:
        ValueError: FASTCONV_DATA is a file.
    """
    chosen = os.environ.get("FASTCONV_DATA")
    if chosen:
        folder = Path(chosen).expanduser()
        if folder.is_file():
            raise ValueError(
                f"FASTCONV_DATA is {chosen!r}, a file; it names the folder that data sets are kept "
                "in: give a data set itself with --data"
            )
        return folder
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "fastconv"


def holds_data_set(folder: Path) -> bool:
    """Whether `folder` has the two sub-folders of a data set."""
    return (folder / "train").is_dir() and (folder / "validation").is_dir()


@contextlib.contextmanager
def filled_at_once(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `target` when the block ends well.

    Nobody ever sees `target` half filled: on an error or Ctrl-C what was
    written is removed. If another process was faster, its `target` stays.

    Raises:
        FileExistsError: `target` is there, is not empty and is no data set.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # mkdtemp makes a folder that only its owner may enter; the inner one is like any other.
    outer = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        inner = outer / target.name
        inner.mkdir()
        yield inner
        try:
            inner.rename(target)
        except OSError:
            if not target.exists():
                raise
            if not holds_data_set(target):
                raise FileExistsError(
                    f"{str(target)!r} is there already and is no data set (train/ and "
                    "validation/); remove it or choose another place"
                ) from None
    finally:
        shutil.rmtree(outer, ignore_errors=True)
