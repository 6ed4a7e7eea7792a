"""What all iterators of image files are told alike."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import Any

from .._core.validation import one_of, optional, positive_pair
from .image_files import channels_of, check_aspect_ratio, check_interpolation

ON_ERROR = ("skip", "raise")
_CACHES = ("memory", "disk")


@dataclass(frozen=True)
class FileOptions:
    """How image files are read, kept, served and written: keyword arguments of
    `flow_from_directory`, `flow_from_paths` and `image_dataset_from_directory`.

    Args:
        target_size: (height, width) that every image is brought to, in pixels.
        color_mode: "rgb", "grayscale" or "rgba".
        interpolation, keep_aspect_ratio, draft, pad_to_aspect_ratio: see `load_img`.
        on_error: "skip" leaves out what is no image together with its label,
            with one warning that counts and names the files; "raise" is an
            OSError, also in every batch that a file belongs to which breaks
            later. Without labels (class_mode=None) only its place says which
            image a row is, so there "skip" leaves none out: the row of a file
            that cannot be read is NaN. Rows of `predict` and `filenames` agree
            either way, and so do images and masks of two iterators of one seed
            with class_mode=None.
        cache: "memory" keeps decoded pixels across epochs; "disk" keeps them
            in a file across runs; None decodes again in every epoch.
        cache_limit_mb: megabytes of pixels to keep at most; images beyond are
            decoded again in every epoch.
        cache_dir: the folder for "disk"; by default `pixels` beside the
            downloaded data sets.
        progress: show a bar while decoding.
        save_to_dir, save_prefix, save_format: write every batch to this folder.
        batch_size, shuffle, seed, prefetch: see Iterator.
    """

    target_size: tuple[int, int] = (256, 256)
    color_mode: str = "rgb"
    interpolation: str = "nearest"
    keep_aspect_ratio: bool = False
    draft: bool = False
    pad_to_aspect_ratio: bool = False
    on_error: str = "skip"
    cache: str | None = "memory"
    cache_limit_mb: float = 1024
    cache_dir: str | os.PathLike[str] | None = None
    progress: bool = True
    save_to_dir: str | os.PathLike[str] | None = None
    save_prefix: str = ""
    save_format: str = "png"
    batch_size: int = 32
    shuffle: bool = True
    seed: int | None = None
    prefetch: int | str = "auto"

    @classmethod
    def checked(cls, owner: str, **options: Any) -> FileOptions:
        """Return the options that `owner` was given; wrong ones are errors that name it."""
        known = {field.name for field in fields(cls)}
        for name in options:
            if name not in known:
                raise TypeError(f"{owner}: got an unexpected keyword argument {name!r}")
        given = cls(**options)
        channels_of(given.color_mode, owner)
        check_interpolation(given.interpolation, owner)
        one_of(*ON_ERROR)(given.on_error, "on_error", owner)
        optional(one_of(*_CACHES))(given.cache, "cache", owner)
        check_aspect_ratio(given.keep_aspect_ratio, given.pad_to_aspect_ratio, owner)
        return replace(
            given,
            target_size=positive_pair(given.target_size, "target_size", owner),
            keep_aspect_ratio=bool(given.keep_aspect_ratio),
            draft=bool(given.draft),
            pad_to_aspect_ratio=bool(given.pad_to_aspect_ratio),
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return (*self.target_size, channels_of(self.color_mode, "FileOptions"))
