"""Image files to 8-bit pixels and back, by Pillow (imported when first used).

Arrays are (height, width, channels) with values of 0-255.
"""

from __future__ import annotations

import importlib
import io
import os
import stat
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from .._core.validation import channels_last, one_of, positive_pair
from .decoding import (
    NOT_THE_FILES_FAULT,
    check_png,
    name_files_in_warnings,
    read_bytes,
    transposed,
    upright_size,
    upright_transpose,
    warnings_name,
    whole_pictures,
)
from .grey_levels import Remark, eight_bit, is_deep, remark_on

if TYPE_CHECKING:
    from PIL.Image import Image

# Only raster formats are read: Pillow would hand an EPS file named .jpg to Ghostscript.
_READERS = ("Bmp", "Gif", "Jpeg", "Png", "Ppm", "Tiff", "WebP")
_MODES = {"rgb": "RGB", "grayscale": "L", "rgba": "RGBA"}
_CHANNELS = {"rgb": 3, "grayscale": 1, "rgba": 4}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_DEPTH_AT = 24  # the byte of a PNG that says how many bits a channel has
_DECODING = 2  # raised with every change of the pixels that `load_img` gives


def channels_of(color_mode: str, owner: str) -> int:
    """Return the number of channels of "rgb", "grayscale" or "rgba"."""
    return _CHANNELS[one_of(*_CHANNELS)(color_mode, "color_mode", owner)]


def check_interpolation(interpolation: str, owner: str) -> None:
    """Refuse any resampling filter that Pillow does not have."""
    one_of(*INTERPOLATIONS)(interpolation, "interpolation", owner)


def check_aspect_ratio(keep: Any, pad: Any, owner: str) -> None:
    """Refuse to cut a picture and to pad it."""
    if keep and pad:
        raise ValueError(
            f"{owner}: the picture is to be cut and to be padded (pad_to_aspect_ratio); give one"
        )


def load_img(
    path: str | os.PathLike[str] | BinaryIO,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
    draft: bool = False,
    pad_to_aspect_ratio: bool = False,
) -> Image:
    """Read an image file as a Pillow image of 8 bits per channel.

    Where Keras differs: the picture is turned upright as its EXIF orientation
    says, and grey of more than 8 bits is scaled to 0-255 (Keras cuts it at
    255): 16 bits by 65535, 12 bits of a TIFF by 4095; `grey_levels.white_level`
    has the whole rule. A picture that cannot be decoded whole is an error,
    as is a PNG whose pixels do not have their checksums. JPEG, BMP, PPM, GIF,
    WebP and most TIFFs have none: a byte of theirs that changed on a disk may
    be a changed picture that nobody can tell.

    Args:
        path: the file, or an open binary file, which alone may be a pipe; its
            bytes are read first, and what happens to the file later does not
            change the picture.
        color_mode: "rgb", "grayscale" or "rgba"; transparency is dropped for
            the first two.
        target_size: (height, width) in pixels; None keeps the picture's own.
        interpolation: Pillow's filter for resizing: "nearest", "bilinear",
            "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: cut the middle of the picture to the proportions of
            `target_size` before resizing, instead of stretching it.
        draft: decode a JPEG at the smallest of its built-in scales that is not
            below `target_size`: about twice as fast, other pixels.
        pad_to_aspect_ratio: put black beside the picture, or above and below it, instead of
            stretching it.

    Warns of a picture that Pillow takes for a decompression bomb, by its name; one of twice
    that size is an OSError.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be read as an image, or nobody can tell which
            of its greys is white; the message names it and says why.
        MemoryError: there is no room for the picture.
        ValueError: an argument is not one of those above.
    """
    channels_of(color_mode, "load_img")
    check_interpolation(interpolation, "load_img")
    check_aspect_ratio(keep_aspect_ratio, pad_to_aspect_ratio, "load_img")
    if target_size is not None:
        target_size = positive_pair(target_size, "target_size", "load_img")
    # The draft is made before the picture is set upright, when either side may be the longer one.
    side = max(target_size) if draft and target_size is not None else None
    image = _convert(_load(path, side), _MODES[color_mode])
    if target_size is not None:
        resize = _resize_and_pad if pad_to_aspect_ratio else _resize
        image = resize(image, target_size, interpolation, keep_aspect_ratio)
    return image


def load_grey_or_rgb(path: str | os.PathLike[str]) -> Image:
    """Read an image file as `load_img` does: what is grey stays grey, all else is RGB."""
    image = _load(path)
    return _convert(image, "L" if image.mode in ("1", "L", "LA") else "RGB")


def decoding_version() -> str:
    """Return what the pixels that `load_img` gives depend on besides the file."""
    import PIL

    return f"{_DECODING}, Pillow {PIL.__version__}"


class Look(NamedTuple):
    """What a look at a file found: why it is no image (`fault`), or what it is.

    `size` is (width, height) in pixels of the upright picture.
    """

    fault: str | None = None
    size: tuple[int, int] = (0, 0)
    remark: Remark | None = None


def find_fault(path: str) -> str | None:
    """Return why the file is no image that `load_img` reads, or None if it seems to be one."""
    return look_at(path).fault


def look_at(path: str) -> Look:
    """Return what `load_img` will find in a file.

    Cheap enough for a whole data set: the header of a JPEG and its end mark
    are looked at, any other file is decoded.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            os.listdir(path)  # what is wrong with a folder that cannot be listed, is the reason
        if not stat.S_ISREG(status.st_mode):
            return Look("not a regular file")
        if status.st_size == 0:
            return Look("the file is empty")
        if status.st_size < len(_JPEG_START + _JPEG_END):
            return Look("not an image of a known format")
        with open(path, "rb") as file:
            if file.read(2) == _JPEG_START:
                file.seek(-2, os.SEEK_END)
                if file.read(2) == _JPEG_END:
                    file.seek(0)
                    with warnings_name(_name(path)):
                        return Look(size=upright_size(_open(file)))
            file.seek(0)
            data = read_bytes(file)
        with whole_pictures, warnings_name(_name(path)):
            image = _open(io.BytesIO(data))
            check_png(data)
            image.load()
            bits = data[_PNG_DEPTH_AT] if image.format == "PNG" else None
            return Look(size=upright_size(image), remark=remark_on(image, bits))
    except NOT_THE_FILES_FAULT:
        raise
    # Whatever a reader raises, the file cannot be used, and the caller reports it.
    except Exception as error:
        return Look(_reason(error))


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
    from PIL import Image

    image = array_to_img(x, data_format=data_format, scale=scale)
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(os.fspath(path))[1][1:]
    if file_format:
        # "jpg" and "tif" are endings; Pillow's formats are "JPEG" and "TIFF".
        endings = Image.registered_extensions()
        file_format = endings.get(f".{file_format.lower()}", file_format)
    if file_format == "JPEG" and image.mode == "RGBA":
        warnings.warn(
            f"save_img: {_name(path)}: JPEG has no transparency; the fourth channel is dropped",
            stacklevel=2,
        )
        image = image.convert("RGB")
    try:
        image.save(path, format=file_format or None, **options)
    except OSError as error:
        if error.filename is None and isinstance(path, (str, os.PathLike)):
            error.filename = os.fspath(path)  # a full disk does not say of which file
        raise


def _open(file: BinaryIO) -> Image:
    """Open an image file, within `warnings_name`; its pixels are decoded when first asked for."""
    from PIL import Image

    # Pillow loads readers as it needs them, but takes those it is told of for loaded.
    for reader in _READERS:
        name_files_in_warnings(importlib.import_module(f"PIL.{reader}ImagePlugin"))
    name_files_in_warnings(Image)
    return Image.open(file, formats=[reader.upper() for reader in _READERS])


def _load(path: str | os.PathLike[str] | BinaryIO, draft: int | None = None) -> Image:
    """Return the upright picture in a file, of at most 8 bits per channel; errors as `load_img`.

    A JPEG may be decoded at a smaller scale whose sides are not below `draft`.
    """
    name = _name(path)
    try:
        data = read_bytes(path)
        with whole_pictures, warnings_name(name):
            image = _open(io.BytesIO(data))
            check_png(data)
            if draft is not None:
                image.draft(None, (draft, draft))
            image.load()
            # A transposed picture has lost the tags of its file, which `eight_bit` needs first.
            transpose = upright_transpose(image)
            return transposed(eight_bit(image) if is_deep(image) else image, transpose)
    except (FileNotFoundError, PermissionError, IsADirectoryError, *NOT_THE_FILES_FAULT):
        raise
    # A damaged file makes Pillow's readers raise nearly anything (SyntaxError, struct.error ...).
    except Exception as error:
        raise OSError(f"load_img: {name} cannot be read as an image: {_reason(error)}") from error


def _convert(image: Image, mode: str) -> Image:
    """Return the picture of at most 8 bits per channel in Pillow's `mode`."""
    if image.mode == mode:
        return image
    if image.mode in ("P", "PA"):
        # Converted directly, a palette with transparency makes Pillow warn.
        image = image.convert("RGBA")
    elif image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    return image.convert(mode)


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


def _resize_and_pad(
    image: Image, target_size: tuple[int, int], interpolation: str, keep_aspect_ratio: bool
) -> Image:
    """Return the whole picture, as large as fits, in the middle of a black one."""
    from PIL import Image

    (height, width), (target_height, target_width) = image.size[::-1], target_size
    scale = min(target_height / height, target_width / width)
    inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    padded = Image.new(image.mode, (target_width, target_height))
    corner = ((target_width - inner[1]) // 2, (target_height - inner[0]) // 2)
    padded.paste(_resize(image, inner, interpolation, keep_aspect_ratio), corner)
    return padded


def _name(path: Any) -> str:
    return repr(os.fspath(path)) if isinstance(path, (str, bytes, os.PathLike)) else "the file"


def _reason(error: Exception) -> str:
    """Return the error in words that do not repeat the file's name."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image of a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
