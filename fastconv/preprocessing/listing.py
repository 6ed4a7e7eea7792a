"""Which image files a folder holds, and what is said of those that are none."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
_NAMES_SHOWN = 20
Item = TypeVar("Item")


def class_names(directory: str, classes: Sequence[str] | None, owner: str) -> list[str]:
    """Return the names of the sub-folders that are classes: `classes`, or all, sorted."""
    if not os.path.isdir(directory):
        raise FileNotFoundError(
            f"{owner}: there is no folder {directory!r}; a folder with one sub-folder per class "
            "is expected"
        )
    if not classes:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if _is_class(entry, directory))
    names = list(classes)
    for name in names:
        if not os.path.isdir(os.path.join(directory, name)):
            raise FileNotFoundError(
                f"{owner}: classes names {name!r}, but there is no such folder in {directory!r}"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"{owner}: classes is {names!r}; every class may be named once")
    return names


def _is_class(entry: os.DirEntry[str], directory: str) -> bool:
    if entry.name.startswith("."):
        return False
    try:
        if not entry.is_dir():
            return False
    except OSError:  # a link to itself
        return False
    # A link back to the data set, or to a folder above, would be a class of all its images.
    inside, target = os.path.realpath(directory), os.path.realpath(entry.path)
    return not (entry.is_symlink() and os.path.commonpath([inside, target]) == target)


def image_names(directory: str, folder: str, follow_links: bool = False) -> Iterable[str]:
    """Yield the paths, relative to `directory`, of the files in its `folder` that end like
    images: sorted, at any depth, without hidden ones. Folders that cannot be listed come last,
    for `find_fault` to say why: what is in them must not go missing without a word.
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
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield os.path.relpath(os.path.join(place, name), directory)
    yield from sorted(os.path.relpath(place, directory) for place in locked)


def in_threads(
    function: Callable[[Item], Any], items: Sequence[Item], progress: str | None = None
) -> list[Any]:
    """Return [function(item) ...]; Pillow decodes without holding the interpreter's lock.

    With `progress`, its title, a bar is shown on a terminal if it takes more
    than a second. What is still to be done is dropped on an exception or Ctrl-C.
    """
    from ..runtime import get_num_threads

    threads = min(get_num_threads(), len(items))
    if threads <= 1 and progress is None:
        return [function(item) for item in items]
    pool = ThreadPoolExecutor(max(1, threads))
    try:
        results = pool.map(function, items)
        if progress is not None:
            from tqdm.auto import tqdm

            # Without a terminal there is no bar; that of a notebook needs none.
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


def shortened(texts: Sequence[str]) -> str:
    """Return the first of the texts, and how many more there are."""
    more = f"; and {len(texts) - _NAMES_SHOWN} more" if len(texts) > _NAMES_SHOWN else ""
    return "; ".join(texts[:_NAMES_SHOWN]) + more
