"""Image files to 8-bit pixels and back, by Pillow (imported when first used).

Arrays are (height, width, channels) with values of 0-255.
"""

from __future__ import annotations

import importlib
import os
import stat
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .._validation import channels_last, positive_pair

if TYPE_CHECKING:
    from PIL.Image import Image

# Only raster formats: Pillow would hand an EPS file named .jpg to Ghostscript.
_READERS = ("Bmp", "Gif", "Jpeg", "Png", "Ppm", "Tiff", "WebP")
_MODES = {"rgb": "RGB", "grayscale": "L", "rgba": "RGBA"}
_CHANNELS = {"rgb": 3, "grayscale": 1, "rgba": 4}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_ORIENTATION_TAG = 0x0112
# What to do to the stored picture, by EXIF orientation; 1 is upright.
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def channels_of(color_mode: str, owner: str) -> int:
    """Return the number of channels of "rgb", "grayscale" or "rgba"."""
    if color_mode not in _CHANNELS:
        raise ValueError(
            f"{owner}: color_mode is {color_mode!r}; 'rgb', 'grayscale' and 'rgba' are accepted"
        )
    return _CHANNELS[color_mode]


def check_interpolation(interpolation: str, owner: str) -> None:
    """Refuse any resampling filter that Pillow does not have."""
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"{owner}: interpolation is {interpolation!r}; one of "
            f"{', '.join(map(repr, _INTERPOLATIONS))} is accepted"
        )


def load_img(
    path: str | os.PathLike[str] | BinaryIO,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
    draft: bool = False,
) -> Image:
    """Read an image file as a Pillow image of 8 bits per channel.

    The picture is turned upright as its EXIF orientation says; 16-bit and
    floating-point grey is brought to 0-255.

    Args:
        path: the file, or an open binary file.
        color_mode: "rgb", "grayscale" or "rgba"; transparency is dropped for
            the first two.
        target_size: (height, width) in pixels; None keeps the picture's own.
        interpolation: Pillow's filter for resizing: "nearest", "bilinear",
            "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: cut the middle of the picture to the proportions of
            `target_size` before resizing, instead of stretching it.
        draft: decode a JPEG at the smallest of its built-in scales that is not
            below `target_size`: about twice as fast, other pixels.

    Warns of a picture that Pillow takes for a decompression bomb, by its name; one of twice
    that size is an OSError.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be read as an image; the message says why.
        ValueError: an argument is not one of those above.
    """
    channels_of(color_mode, "load_img")
    check_interpolation(interpolation, "load_img")
    if target_size is not None:
        target_size = positive_pair(target_size, "target_size", "load_img")
    try:
        with _open(path) as opened:
            if draft and target_size is not None:
                # Before it is turned upright either side may be the longer one.
                opened.draft(None, (max(target_size), max(target_size)))
            image = _convert(_upright(opened), _MODES[color_mode])
            image.load()
    except (FileNotFoundError, PermissionError, IsADirectoryError, ImportError):
        raise
    # A damaged file makes Pillow's readers raise nearly anything (SyntaxError, struct.error ...).
    except Exception as error:
        raise OSError(
            f"load_img: {_name(path)} cannot be read as an image: {_reason(error)}"
        ) from error
    if target_size is not None:
        image = _resize(image, target_size, interpolation, keep_aspect_ratio)
    return image


def find_fault(path: str) -> str | None:
    """Return why the file is no image that `load_img` reads, or None if it seems to be one.

    Cheap enough for a whole data set: the header of a JPEG and its end mark
    are looked at, any other file is decoded.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            os.listdir(path)  # what is wrong with a folder that cannot be listed, is the reason
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if status.st_size == 0:
            return "the file is empty"
        if status.st_size < len(_JPEG_START + _JPEG_END):
            return "not an image of a known format"
        with open(path, "rb") as file:
            whole_jpeg = file.read(2) == _JPEG_START
            file.seek(-2, os.SEEK_END)
            whole_jpeg = whole_jpeg and file.read(2) == _JPEG_END
            with _open(file, path) as image:
                if not whole_jpeg:
                    image.load()
    except ImportError:  # of Pillow: no fault of the file's
        raise
    # Whatever a reader raises, the file cannot be used, and the caller reports it.
    except Exception as error:
        return _reason(error)
    return None


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return (width, height) of the upright picture in pixels; only the header is read."""
    with _open(path) as image:
        try:
            turned = image.getexif().get(_ORIENTATION_TAG, 1) >= 5
        except Exception:
            turned = False
        return image.size[::-1] if turned else image.size


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """Return a Pillow image (or 2-D or 3-D array) as (height, width, channels), float32."""
    channels_last(data_format, "img_to_array")
    array = np.array(img, dtype=np.float32 if dtype is None else dtype)
    if array.ndim == 2:
        return array[:, :, np.newaxis]
    if array.ndim != 3:
        raise ValueError(
            f"img_to_array: img has shape {array.shape}; an image of 2 or 3 dimensions is needed"
        )
    return array


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Image:
    """Return a (height, width, 1, 3 or 4) array as a Pillow image.

    With `scale` the values are stretched so that the smallest becomes 0 and
    the largest 255; without it they are taken as 0-255, and cut to that range.
    """
    channels_last(data_format, "array_to_img")
    x = np.array(x, dtype=np.float32 if dtype is None else dtype)
    if x.ndim != 3 or x.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"array_to_img: x has shape {x.shape}; (height, width, channels) with 1, 3 or 4 "
            "channels is needed"
        )
    from PIL import Image

    if scale:
        x = x - x.min()
        largest = x.max()
        x = x * (255 / largest) if largest != 0 else x
    pixels = np.clip(x, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def save_img(
    path: str | os.PathLike[str] | BinaryIO,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **options: Any,
) -> None:
    """Write an array as an image file; `options` go to Pillow's `save`.

    The format follows the file's ending unless `file_format` names it. A JPEG
    has no transparency: a fourth channel is dropped with a warning.
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(os.fspath(path))[1][1:]
    if file_format and file_format.lower() in ("jpg", "jpeg"):
        file_format = "jpeg"
        if image.mode == "RGBA":
            warnings.warn(
                f"save_img: {_name(path)}: JPEG has no transparency; the fourth channel is dropped",
                stacklevel=2,
            )
            image = image.convert("RGB")
    image.save(path, format=file_format or None, **options)


def _open(file: Any, path: Any = None) -> Image:
    """Open an image file; its pixels are decoded when they are first asked for.

    `path` is the name of an open `file`, for the warning of a very large picture.
    """
    from PIL import Image

    # Pillow loads readers as it needs them, but takes those it is told of for loaded.
    for name in _READERS:
        importlib.import_module(f"PIL.{name}ImagePlugin")
    image = Image.open(file, formats=[name.upper() for name in _READERS])
    width, height = image.size
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        # Pillow has warned of the size, but does not say which file has it. From this very line,
        # so that a file is named once however often it is opened.
        warnings.warn(
            f"{_name(file if path is None else path)} has {width} x {height} pixels, more than "
            f"the {limit} above which Pillow warns of a decompression bomb; it is read "
            "nevertheless",
            Image.DecompressionBombWarning,
            stacklevel=1,
        )
    return image


def _upright(image: Image) -> Image:
    """Return the picture turned as its EXIF orientation says."""
    # Damaged EXIF data says nothing about the pixels, which may be fine.
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION_TAG))
    except Exception:
        turn = None
    if turn is None:
        return image
    from PIL import Image

    return image.transpose(Image.Transpose[turn])


def _convert(image: Image, mode: str) -> Image:
    """Return the picture in Pillow's `mode`, each channel in 0-255."""
    if image.mode == mode:
        return image
    if image.mode == "F" or image.mode.startswith("I"):
        image = _eight_bit(image)
    elif image.mode in ("P", "PA"):
        # By way of RGBA, or Pillow warns of a palette's transparency.
        image = image.convert("RGBA")
    elif image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    return image.convert(mode)


def _eight_bit(image: Image) -> Image:
    """Return 16-bit, 32-bit or floating-point grey as 8-bit grey.

    Pillow's own conversion cuts everything above 255, which leaves white.
    """
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    largest = np.nanmax(values)
    if image.mode.startswith("I;16") or 255 < largest <= 65535:
        values /= 257
    elif largest > 65535:
        values *= 255 / largest
    elif image.mode == "F" and largest <= 1:
        values *= 255
    return Image.fromarray(np.clip(np.nan_to_num(values) + 0.5, 0, 255).astype(np.uint8))


def _resize(
    image: Image, target_size: tuple[int, int], interpolation: str, keep_aspect_ratio: bool
) -> Image:
    from PIL import Image

    target_height, target_width = target_size
    width, height = image.size
    if (width, height) == (target_width, target_height):
        return image
    box = None
    if keep_aspect_ratio:
        cut_height = min(height, width * target_height // target_width)
        cut_width = min(width, height * target_width // target_height)
        top, left = (height - cut_height) // 2, (width - cut_width) // 2
        box = (left, top, left + cut_width, top + cut_height)
    resampling = Image.Resampling[interpolation.upper()]
    return image.resize((target_width, target_height), resampling, box=box)


def _name(path: Any) -> str:
    return repr(os.fspath(path)) if isinstance(path, (str, bytes, os.PathLike)) else "the file"


def _reason(error: Exception) -> str:
    """Return the error in words that do not repeat the file's name."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image of a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
