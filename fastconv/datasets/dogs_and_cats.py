"""Finding the chapter's photos: 2,000 to train on and 800 to validate with."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from .archives import opened, unpack
from .downloads import download
from .folders import cache_folder, filled_at_once, holds_data_set, place_of
from .scratch import scratch_folder

ADDRESS = "http://doc.mindscale.kr/km/unstructured/dog-vs-cat.zip"
NAME = "dog-vs-cat"
# Raise this number when the same zip is unpacked to other files or names than before.
_UNPACKING_VERSION = b"2"


def dog_vs_cat(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder that holds `train/` and `validation/`, each with `cat/` and `dog/`.

    With `path`, it is that folder, or that zip unpacked into the cache. Without,
    it is `./dog-vs-cat`, else the cache's copy, else what the chapter's address
    gives: the only use of the network in fastconv, announced on stderr. The
    cache is FASTCONV_DATA, else `fastconv` in XDG_CACHE_HOME or `~/.cache`; where
    that cannot be written, a folder for temporary files, which is said on stderr.

    Raises:
        FileNotFoundError: nothing was found or reached; the message says what to do.
        ValueError: the zip is damaged or unsafe, or FASTCONV_DATA names a place that
            cannot be written.
    """
    if path is not None:
        return _given(Path(path).expanduser())
    here, cached = Path(NAME), cache_folder() / NAME
    for folder in (here, cached):
        if holds_data_set(folder):
            return folder
    target = place_of(NAME)
    if holds_data_set(target):
        return target
    try:
        _fetch(target)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"dog_vs_cat: no photos found: {str(here.absolute())!r} and {str(target)!r} are not "
            f"there, and fetching failed ({error}). Get {NAME}.zip by other "
            "means and give its path, or use the drawn set of fastconv.datasets.synthetic()"
        ) from error
    return target


def unpacked(
    path: str | os.PathLike[str], root_of: Callable[[Path], Path], progress: bool = True
) -> Path:
    """Return the data set in the zip at `path`, unpacked into the cache once.

    `root_of` gives the folder that holds the data set among those of the zip,
    or raises if there is none, and then nothing stays. With `progress`, a line
    on stderr tells of the unpacking before it begins.

    Raises:
        FileNotFoundError: there is no such zip.
        ValueError: the zip is damaged or unsafe, or there is no place for it.
        OSError: the disk is full, or the like.
    """
    path = Path(path)
    target = place_of(f"{NAME}-{_fingerprint(path)}")
    if not target.is_dir():
        if progress:
            _say(f"Unpacking {str(path)!r} to {str(target)!r}")
        with filled_at_once(target, is_whole=Path.is_dir) as folder:
            unpack(path, folder)
            _lift(root_of(folder), folder)
    return target


def _given(path: Path) -> Path:
    if path.is_dir():
        return _data_set_in(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"dog_vs_cat: there is no {str(path)!r}; give a folder with train/ and validation/, "
            "or a zip of one"
        )
    return _data_set_in(unpacked(path, lambda folder: _data_set_in(folder, path)), path)


def _fetch(target: Path) -> None:
    """Download the chapter's zip and unpack it as the folder `target`."""
    _say(f"Downloading {ADDRESS} to {str(target)!r}")
    with scratch_folder(target.parent, NAME) as scratch, filled_at_once(target) as folder:
        archive = scratch / f"{NAME}.zip"
        download(ADDRESS, archive)
        _say(f"Unpacking it to {str(target)!r}")
        unpack(archive, folder)
        _lift(_data_set_in(folder, archive), folder)


def _say(text: str) -> None:
    """Print at once, also into a pipe: what comes takes a while."""
    print(text, file=sys.stderr, flush=True)


def _data_set_in(folder: Path, given: Path | None = None) -> Path:
    """Return `folder` or the one folder in it that holds the data set."""
    if holds_data_set(folder):
        return folder
    inside = [entry for entry in sorted(folder.iterdir()) if holds_data_set(entry)]
    if len(inside) == 1:
        return inside[0]
    raise FileNotFoundError(
        f"dog_vs_cat: {str(given or folder)!r} does not hold a data set; a folder with train/ and "
        "validation/ is expected, each with one sub-folder per class"
    )


def _lift(root: Path, folder: Path) -> None:
    """Let `root`, somewhere in `folder`, take the place of `folder`."""
    if root == folder:
        return
    aside = folder.with_name(f"{folder.name}.root")
    root.rename(aside)
    shutil.rmtree(folder)
    aside.rename(folder)


def _fingerprint(path: Path) -> str:
    """Return a short name for a zip's contents, from its table of contents."""
    digest = hashlib.sha256(_UNPACKING_VERSION)
    with opened(path) as archive:
        for member in archive.infolist():
            text = f"{member.orig_filename}\0{member.file_size}\0{member.CRC}\n"
            digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:12]
