"""Decoded pixels kept in memory, so that an epoch is not spent on decoding."""

from __future__ import annotations

import numpy as np

MEGABYTE = 1 << 20


class PixelCache:
    """The first images of a data set as uint8 pixels, as many as the limit holds.

    Which images are kept depends on their number alone, never on the order of
    use. Pages of the one array are touched only when an image is put in, so a
    generous limit costs nothing by itself. Threads may put the same image
    twice: the pixels are the same.
    """

    def __init__(self, count: int, image_shape: tuple[int, ...], limit_megabytes: float) -> None:
        image_bytes = int(np.prod(image_shape))
        self.capacity = min(count, int(limit_megabytes * MEGABYTE) // image_bytes)
        self._pixels = np.empty((self.capacity, *image_shape), np.uint8)
        self._present = np.zeros(self.capacity, bool)

    def get(self, index: int) -> np.ndarray | None:
        """Return the image's pixels (read them, do not write), or None if they are not kept."""
        if index < self.capacity and self._present[index]:
            return self._pixels[index]
        return None

    def put(self, index: int, pixels: np.ndarray) -> None:
        """Keep the image's pixels if there is room for them."""
        if index < self.capacity:
            self._pixels[index] = pixels
            self._present[index] = True
