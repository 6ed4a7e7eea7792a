"""From a file's bytes to a picture that stands upright, by Pillow: whole, or an error."""

from __future__ import annotations

import contextlib
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from .._core.files import open_regular

if TYPE_CHECKING:
    import os

    from PIL.Image import Image

#: Errors that say nothing about the file, so that no reader may report it as broken.
NOT_THE_FILES_FAULT = (MemoryError, RecursionError, ImportError)

_PNG_START = b"\x89PNG\r\n\x1a\n"
_BYTES_PER_PIXEL = 8  # 16 bits of four channels: no picture takes more, whatever its format
_ORIENTATION_TAG = 0x0112
_UPRIGHT = 1
# How Pillow transposes the stored picture to set it upright, by EXIF orientation.
_TRANSPOSES = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_SIDEWAYS = tuple(_TRANSPOSES[orientation] for orientation in (5, 6, 7, 8))


def read_bytes(file: str | os.PathLike[str] | BinaryIO) -> bytes:
    """Return what is in a file, or what is left to read of an open one.

    Pillow is given these bytes, never the file: of a file by name it maps the pixels of some
    formats into memory, where another program that shortens the file ends this one, and one
    that writes to it changes the picture.

    Raises:
        OSError: the file cannot be read, is a pipe or a device, or is larger than any picture that
            Pillow would open (its limit of pixels, twice, at 8 bytes each).
    """
    from PIL import Image

    pixels = Image.MAX_IMAGE_PIXELS
    limit = -1 if pixels is None else 2 * pixels * _BYTES_PER_PIXEL
    if hasattr(file, "read"):
        data = file.read()
    else:
        with open_regular(file) as opened:
            data = opened.read(limit + 1 if limit >= 0 else -1)
    if 0 <= limit < len(data):
        raise OSError(f"more than {limit} bytes, which no picture of an accepted size has")
    return data


def check_png(data: bytes) -> None:
    """Raise OSError where the pixels of a PNG do not have their checksums.

    Pillow does not look at these: a changed byte would be a changed picture. Other formats
    have no checksums; of them only what cannot be decoded is found out.
    """
    if not data.startswith(_PNG_START):
        return
    view, at = memoryview(data), len(_PNG_START)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if kind == b"IEND":
            return
        if kind == b"IDAT":
            if end + 4 > len(data):
                raise OSError("image file is truncated")
            if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
                raise OSError("its pixels do not have their checksum: the file is damaged")
        at = end + 4


def upright_transpose(image: Image) -> str | None:
    """Return the name, in Pillow's `Transpose`, of what sets a picture upright.

    It must be decoded, unless it is a JPEG: some of Pillow's readers (PNG) decode the pixels to
    get at the metadata, where what is wrong with them must not pass for damaged metadata. That
    of TIFF sets it upright while it decodes it; not all versions then say that it is upright.
    """
    if image.format == "TIFF":
        return None
    # Damaged EXIF data says nothing about the pixels, which may be fine.
    try:
        return _TRANSPOSES.get(image.getexif().get(_ORIENTATION_TAG, _UPRIGHT))
    except NOT_THE_FILES_FAULT:
        raise
    except Exception:
        return None


def transposed(image: Image, transpose: str | None) -> Image:
    """Return the picture transposed as `upright_transpose` says."""
    if transpose is None:
        return image
    from PIL import Image

    return image.transpose(Image.Transpose[transpose])


def upright_size(image: Image) -> tuple[int, int]:
    """Return (width, height) of the picture when it is upright; as in `upright_transpose`."""
    return image.size[::-1] if upright_transpose(image) in _SIDEWAYS else image.size


class _WholePictures:
    """While it is entered, in any thread, Pillow's LOAD_TRUNCATED_IMAGES is off.

    With that switch, which some libraries turn on when they are imported, Pillow fills up with
    grey what a file lacks, and takes broken data for its end, without a word.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0

    def __enter__(self) -> None:
        from PIL import ImageFile

        with self._lock:
            if self._depth == 0:
                self._before = ImageFile.LOAD_TRUNCATED_IMAGES
            self._depth += 1
            if self._before:
                ImageFile.LOAD_TRUNCATED_IMAGES = False

    def __exit__(self, *error: object) -> None:
        from PIL import ImageFile

        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._before:
                ImageFile.LOAD_TRUNCATED_IMAGES = True


whole_pictures = _WholePictures()


class _NamedWarnings:
    """Stands in Pillow's readers for the module `warnings`: what they warn of names the file.

    The filters and the hooks of `warnings` belong to the whole process, so recording what one
    thread's file is warned of would take it from the other threads.
    """

    def __init__(self) -> None:
        self._current = threading.local()

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Name this file in what Pillow warns of in this thread."""
        before = getattr(self._current, "name", None)
        self._current.name = name
        try:
            yield
        finally:
            self._current.name = before

    def warn(
        self, message: Any, category: Any = None, stacklevel: int = 1, source: Any = None
    ) -> None:
        name = getattr(self._current, "name", None)
        if name is not None and isinstance(message, str):
            message = f"{message} ({name})"
        warnings.warn(message, category, stacklevel + 1, source)

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)


_named_warnings = _NamedWarnings()
warnings_name = _named_warnings.of


def name_files_in_warnings(module: Any) -> None:
    """Let what a module of Pillow warns of, inside `warnings_name`, name the file."""
    if getattr(module, "warnings", None) is warnings:
        module.warnings = _named_warnings
