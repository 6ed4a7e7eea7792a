"""Which image files a folder holds, and what is said of those that are none."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .._core.naming import shortened

# Folders of resource forks (macOS), previews (Synology), recycle bins (Windows, Samba) and files
# that a repair of the file system found.
_SYSTEM_FOLDERS = frozenset(
    (
        "__macosx",
        "@eadir",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "lost+found",
        "__pycache__",
    )
)
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
Item = TypeVar("Item")


def normalized(name: str) -> str:
    """Return a name in NFC, letters and accents joined: a Mac's folders have them apart."""
    return unicodedata.normalize("NFC", name)


def class_folders(directory: str, classes: Sequence[str] | None, owner: str) -> dict[str, str]:
    """Return the classes, `classes` or else all sub-folders, by name: {name: sub-folder}.

    Names are in NFC, whatever the disk has, and compared so; all are sorted by
    name. Hidden folders and those of a system (`is_system_folder`) are none.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a class is named twice, or two folders differ in normal form alone.
    """
    if not os.path.isdir(directory):
        raise FileNotFoundError(
            f"{owner}: there is no folder {directory!r}; a folder with one sub-folder per class "
            "is expected"
        )
    if classes:
        return {
            normalized(name): _folder_of(name, directory, owner) for name in _once(classes, owner)
        }
    found: dict[str, str] = {}
    for name in visible_folders(directory):
        if found.setdefault(normalized(name), name) != name:
            raise ValueError(
                f"{owner}: {directory!r} has two folders {normalized(name)!r}, whose letters are "
                "composed in different ways; rename or join them"
            )
    return dict(sorted(found.items()))


def _once(classes: Sequence[str], owner: str) -> list[str]:
    names = list(classes)
    if len(set(map(normalized, names))) < len(names):
        raise ValueError(f"{owner}: classes is {names!r}; every class may be named once")
    return names


def _folder_of(name: str, directory: str, owner: str) -> str:
    if os.path.isdir(os.path.join(directory, name)):
        return name
    for folder in visible_folders(directory):
        if normalized(folder) == normalized(name):
            return folder
    raise FileNotFoundError(
        f"{owner}: classes names {name!r}, but there is no such folder in {directory!r}"
    )


def visible_folders(directory: str) -> list[str]:
    """Return the sub-folders that may be classes or parts of a data set, sorted."""
    return [name for name in _folders(directory) if not is_hidden_or_system(name)]


def skipped_folders(directory: str) -> list[str]:
    """Return the sub-folders that are hidden or a system's own, sorted."""
    return [name for name in _folders(directory) if is_hidden_or_system(name)]


def _folders(directory: str) -> list[str]:
    with os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if _is_folder(entry, directory))


def is_system_folder(name: str) -> bool:
    """Whether a system keeps its own there: previews, copies, what was deleted."""
    return name.casefold() in _SYSTEM_FOLDERS


def is_hidden_or_system(name: str) -> bool:
    """Whether a folder is none of the data set's own."""
    return name.startswith(".") or is_system_folder(name)


def _is_folder(entry: os.DirEntry[str], directory: str) -> bool:
    try:
        if not entry.is_dir():
            return False
    except OSError:  # a link to itself
        return False
    if not entry.is_symlink():
        return True
    # A link back to the data set, or to a folder above, would be a class of all its images.
    inside, target = os.path.realpath(directory), os.path.realpath(entry.path)
    return os.path.commonpath([inside, target]) != target


def is_image_name(name: str) -> bool:
    """Whether a file is listed as an image: by its ending, and not hidden."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def image_names(
    directory: str, folder: str, follow_links: bool = False, skipped: list[str] | None = None
) -> Iterable[str]:
    """Yield the paths, relative to `directory`, of the files in its `folder` that end like
    images: sorted, at any depth, without those that are hidden or in a system's folder. Folders
    that cannot be listed come last, for `find_fault` to say why: what is in them must not go
    missing without a word. The systems' folders, relative as well, are added to `skipped`.
    """
    visited = set()
    locked: list[str] = []
    for place, subfolders, files in os.walk(
        os.path.join(directory, folder),
        onerror=lambda error: locked.append(error.filename),
        followlinks=follow_links,
    ):
        # A link back to a folder above would make the walk endless.
        real = os.path.realpath(place)
        if real in visited:
            subfolders.clear()
            continue
        visited.add(real)
        if skipped is not None:
            skipped += [
                os.path.relpath(os.path.join(place, name), directory)
                for name in sorted(filter(is_system_folder, subfolders))
            ]
        subfolders[:] = sorted(name for name in subfolders if not is_hidden_or_system(name))
        for name in sorted(files):
            if is_image_name(name):
                yield os.path.relpath(os.path.join(place, name), directory)
    yield from sorted(os.path.relpath(place, directory) for place in locked)


def holds_images(directory: str, folder: str) -> bool:
    """Whether `directory` has images in its `folder`, at any depth."""
    return any(is_image_name(os.path.basename(path)) for path in image_names(directory, folder))


def in_threads(
    function: Callable[[Item], Any], items: Sequence[Item], progress: str | None = None
) -> list[Any]:
    """Return [function(item) ...]; Pillow decodes without holding the interpreter's lock.

    With `progress`, its title, a bar is shown on a terminal if it takes more
    than a second. What is still to be done is dropped on an exception or Ctrl-C.
    """
    from .._core.runtime import get_num_threads

    threads = min(get_num_threads(), len(items))
    if threads <= 1 and progress is None:
        return [function(item) for item in items]
    pool = ThreadPoolExecutor(max(1, threads))
    try:
        results = pool.map(function, items)
        if progress is not None:
            from tqdm.auto import tqdm

            # None shows a bar on a terminal alone; a notebook shows its bar without one.
            kinds = (kind.__module__ for kind in getattr(tqdm, "__mro__", ()))
            disable = False if any("notebook" in kind for kind in kinds) else None
            results = tqdm(
                results, progress, len(items), unit="img", leave=False, disable=disable, delay=1
            )
        return list(results)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def report_unreadable(
    faults: Sequence[str], on_error: str, owner: str, stacklevel: int, outcome: str = "skipped"
) -> None:
    """Warn once of files that are no images, and of the `outcome`, or raise, as `on_error` says."""
    if not faults:
        return
    count = "1 file is" if len(faults) == 1 else f"{len(faults)} files are"
    names = shortened(faults)
    if on_error == "raise":
        raise OSError(
            f"{owner}: {count} not readable as images: {names}; remove what is named, or give "
            "on_error='skip'"
        )
    warnings.warn(
        f"{owner}: {count} not readable as images, {outcome}: {names}", stacklevel=stacklevel
    )
