"""Batches written as image files."""

from __future__ import annotations

import contextlib
import itertools
import os

import numpy as np

from .image_files import save_img


class SavedBatches:
    """Writes the batches of an iterator as image files, to look at what a model is given.

    No file is ever replaced, by whatever iterator, thread or process it was written; an image
    that the same iterator gives again, such as the first batch after a look at it, is written
    once.
    """

    def __init__(self, folder: str | os.PathLike[str], prefix: str, file_format: str) -> None:
        if os.path.basename(prefix) != prefix:
            raise ValueError(
                f"save_prefix is {prefix!r}; it must be the beginning of a file's name: folders "
                "belong into save_to_dir"
            )
        self.folder = os.fspath(folder)
        self.prefix = prefix
        self.file_format = file_format
        self._written: dict[tuple[int, ...], object] = {}
        os.makedirs(self.folder, exist_ok=True)

    @classmethod
    def where(
        cls, folder: str | os.PathLike[str] | None, prefix: str, file_format: str
    ) -> SavedBatches | None:
        """Return what writes batches to `folder`, or None where there is none to write to."""
        return None if folder is None else cls(folder, prefix, file_format)

    def write(self, batch: np.ndarray, numbers: np.ndarray, place: tuple[int, int]) -> None:
        """Write each image as `<prefix>_<image number>_<epoch>.<format>`.

        Where there is such a file, as of another iterator, `_1`, `_2` ... is put behind the epoch.

        Args:
            place: seed and epoch, which make the images together with their numbers.
        """
        for image, number in zip(batch, numbers.tolist(), strict=True):
            # `setdefault` is one step, so that only one of several threads writes the image.
            mine = object()
            if self._written.setdefault((*place, number), mine) is not mine:
                continue
            self._write_one(image, f"{self.prefix}_{number}_{place[1]}")

    def _write_one(self, image: np.ndarray, name: str) -> None:
        for ending in itertools.chain([""], (f"_{count}" for count in itertools.count(1))):
            path = os.path.join(self.folder, f"{name}{ending}.{self.file_format}")
            try:
                # Mode "x" makes the file, so that only one of several writers gets the name.
                with open(path, "xb") as file:
                    save_img(file, image, file_format=self.file_format)
            except FileExistsError:
                continue
            except BaseException as error:
                if isinstance(error, OSError) and error.filename is None:
                    error.filename = path  # a full disk does not say which file it was
                with contextlib.suppress(OSError):
                    os.remove(path)
                raise
            return
