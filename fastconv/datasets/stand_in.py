"""The drawn stand-in for the chapter's photos: cats and dogs that differ in shape."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .folders import filled_at_once, holds_data_set, place_of
from .scenes import draw_scene

COUNTS = {"train": 1000, "validation": 400}
KINDS = ("cat", "dog")
# The version of the drawings in a folder; raise it when their look changes.
_MARK, _VERSION = "fastconv-synthetic.txt", "1"
_SEED = 20180501
_JPEG_QUALITY = 85


def synthetic(path: str | os.PathLike[str] | None = None, progress: bool = True) -> Path:
    """Draw 2,000 + 800 pictures of cats and dogs, and return their folder.

    `path` (default: `synthetic` in the cache) gets `train/` and `validation/`,
    each with `cat/` and `dog/`, of JPEGs with sides of 80-150 pixels. They are
    the same every time, and drawn only if they are not there yet. The folder
    appears when all of them are drawn, or not at all. With `progress`, a line on
    stderr tells of the drawing before it begins, on a terminal a bar.

    Raises:
        FileExistsError: `path` holds something else.
        ValueError: FASTCONV_DATA names a place that cannot be written.
    """
    target = place_of("synthetic") if path is None else Path(path).expanduser()
    if _is_drawn(target):
        return target
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(
            f"synthetic: {str(target)!r} is there already and is not the drawn set; remove it or "
            "choose another place"
        )
    if progress:
        pictures = len(KINDS) * sum(COUNTS.values())
        print(f"Drawing {pictures:,} pictures in {str(target)!r}", file=sys.stderr, flush=True)
    with filled_at_once(target) as folder:
        _draw_all(folder, progress)
        (folder / _MARK).write_text(_VERSION)
    return target


def _is_drawn(folder: Path) -> bool:
    mark = folder / _MARK
    return holds_data_set(folder) and mark.is_file() and mark.read_text() == _VERSION


def _draw_all(folder: Path, progress: bool) -> None:
    """Write every picture, with `progress` under a bar on a terminal."""
    from tqdm import tqdm

    # The second part goes on counting where the first ends, so that no picture is in both.
    jobs = []
    first = 0
    for part, count in COUNTS.items():
        for kind in KINDS:
            (folder / part / kind).mkdir(parents=True)
            jobs += [(part, kind, number) for number in range(first, first + count)]
        first += count
    disable = None if progress else True
    for part, kind, number in tqdm(jobs, "Drawing cats and dogs", unit="", disable=disable):
        picture = draw_scene(kind, _SEED + 2 * number + KINDS.index(kind))
        picture.save(folder / part / kind / f"{kind}.{number}.jpg", quality=_JPEG_QUALITY)
