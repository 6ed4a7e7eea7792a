"""Finding the chapter's photos: 2,000 to train on and 800 to validate with."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import zipfile
from pathlib import Path

from .archives import unpack
from .downloads import download
from .folders import cache_folder, filled_at_once, holds_data_set

ADDRESS = "http://doc.mindscale.kr/km/unstructured/dog-vs-cat.zip"
NAME = "dog-vs-cat"


def dog_vs_cat(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder that holds `train/` and `validation/`, each with `cat/` and `dog/`.

    With `path`, it is that folder, or that zip unpacked into the cache. Without,
    it is `./dog-vs-cat`, else the cache's copy, else what the chapter's address
    gives: the only use of the network in fastconv, announced on stderr. The
    cache is FASTCONV_DATA, else `fastconv` in XDG_CACHE_HOME or `~/.cache`.

    Raises:
        FileNotFoundError: nothing was found or reached; the message says what to do.
        ValueError: the zip is damaged or unsafe.
    """
    if path is not None:
        return _given(Path(path).expanduser())
    here, cached = Path(NAME), cache_folder() / NAME
    for folder in (here, cached):
        if holds_data_set(folder):
            return folder
    try:
        _fetch(cached)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"dog_vs_cat: no photos found: {str(here.absolute())!r} and {str(cached)!r} are not "
            f"there, and fetching failed ({error}). Get {NAME}.zip by other "
            "means and give its path, or use the drawn set of fastconv.datasets.synthetic()"
        ) from error
    return cached


def _given(path: Path) -> Path:
    if path.is_dir():
        return _data_set_in(path, path)
    if not path.is_file():
        raise FileNotFoundError(
            f"dog_vs_cat: there is no {str(path)!r}; give a folder with train/ and validation/, "
            "or a zip of one"
        )
    target = cache_folder() / f"{NAME}-{_fingerprint(path)}"
    if not target.is_dir():
        with filled_at_once(target) as folder:
            unpack(path, folder)
            _lift(folder, path)
    return target


def _fetch(target: Path) -> None:
    """Download the chapter's zip and unpack it as the folder `target`."""
    print(f"Downloading {ADDRESS} to {str(target)!r}", file=sys.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=target.parent) as scratch,
        filled_at_once(target) as folder,
    ):
        archive = Path(scratch) / f"{NAME}.zip"
        download(ADDRESS, archive)
        unpack(archive, folder)
        _lift(folder, archive)


def _data_set_in(folder: Path, given: Path) -> Path:
    """Return `folder` or the one folder in it that holds the data set."""
    if holds_data_set(folder):
        return folder
    inside = [entry for entry in sorted(folder.iterdir()) if holds_data_set(entry)]
    if len(inside) == 1:
        return inside[0]
    raise FileNotFoundError(
        f"dog_vs_cat: {str(given)!r} does not hold a data set; a folder with train/ and "
        "validation/ is expected, each with one sub-folder per class"
    )


def _lift(folder: Path, given: Path) -> None:
    """Move the data set up, so that `folder` itself has train/ and validation/."""
    inner = _data_set_in(folder, given)
    if inner != folder:
        for part in ("train", "validation"):
            (inner / part).rename(folder / part)


def _fingerprint(path: Path) -> str:
    """Return a short name for a zip's contents, from its table of contents."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                digest.update(f"{member.filename}\0{member.file_size}\0{member.CRC}\n".encode())
    except (zipfile.BadZipFile, UnicodeError, NotImplementedError) as error:
        raise ValueError(
            f"dog_vs_cat: {str(path)!r} is damaged or no zip: {error}; get it anew"
        ) from error
    return digest.hexdigest()[:12]
