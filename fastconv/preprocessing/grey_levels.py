"""Grey of more than 8 bits: which value is white, and how it becomes 8 bits.

The one place where that is decided. Pillow's own conversion cuts everything above 255, which
leaves white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_BITS_TAG, _PHOTOMETRIC_TAG = 258, 262  # of TIFF: bits per sample, and whether 0 is white
_SCALED = ("PNG", "PPM")  # formats whose "I" is always of 0-65535
# Shares of the values above black: at most _FEW may exceed white; from _MANY on, white is higher.
_FEW, _MANY = 0.02, 0.1
_DARK = 1 << 14  # 16-bit values all below: 10 to 14 bits of a camera or a scanner


class Remark(NamedTuple):
    """What the user should know of a picture's grey levels; `act` if it needs the user."""

    text: str
    act: bool


def is_deep(image: Image) -> bool:
    """Whether the picture is grey of more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def eight_bit(image: Image) -> Image:
    """Return 16-bit, 32-bit or floating-point grey as 8-bit grey; NaN is black.

    Raises ValueError where `white_level` cannot tell.
    """
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    white = white_level(image)
    if _tag(image, _PHOTOMETRIC_TAG) == 0:
        values = white - values
    values *= 255 / white
    # NaN becomes 0 and infinities become large numbers, which the clipping brings to 0 or 255.
    return Image.fromarray(np.clip(np.nan_to_num(values) + 0.5, 0, 255).astype(np.uint8))


def white_level(image: Image) -> float:
    """Return the value of a picture's white; black is 0.

    What the file says decides, and never a single pixel:

    - 16 bits (mode "I;16", and "I" of PNG and PGM): 65535, whatever is used of it; a TIFF of
      9 to 15 bits per sample: their largest value, 4095 for 12 bits.
    - 32-bit and signed integers, and floats: no format says what white is. It is the first of
      1 (floats alone), 255 and 65535 (32767 for 16 signed bits) that at most 2 % of the values
      above 0 exceed, provided that at least 10 % exceed the one before.

    Raises:
        ValueError: between 2 % and 10 % exceed one of these, or more than 2 % the last: nobody
            can tell.
    """
    bits = _tag(image, _BITS_TAG)
    if image.mode.startswith("I;16"):
        return 2.0**bits - 1 if isinstance(bits, int) and 8 < bits < 16 else 65535.0
    if image.mode == "I" and image.format in _SCALED:
        return 65535.0
    values = np.asarray(image)
    values = values[np.isfinite(values) & (values > 0)]
    highest = 32767.0 if image.mode == "I" and bits == 16 else 65535.0
    for white in (1.0, 255.0, highest) if image.mode == "F" else (255.0, highest):
        beyond = np.mean(values > white) if len(values) else 0.0
        if beyond <= _FEW:
            return white
        if beyond < _MANY:
            break
    raise ValueError(
        f"{'floating-point' if image.mode == 'F' else 'integer'} grey from {values.min():g} to "
        f"{values.max():g} does not say which value is white; save it with 8 or 16 bits"
    )


def remark_on(image: Image, bits: int | None = None) -> Remark | None:
    """Return what to say of a decoded picture's grey levels, if anything.

    Args:
        image: as Pillow decoded it, of a file.
        bits: per channel in the file, where Pillow's mode does not tell.
    """
    if image.mode == "F" or (image.mode == "I" and image.format not in _SCALED):
        kind = "floats" if image.mode == "F" else "integers"
        return Remark(f"grey of 32-bit {kind}, {white_level(image):g} is taken for white", False)
    if is_deep(image):
        values = np.asarray(image) if white_level(image) == 65535 else None
    else:
        colours = {"LA": 1, "RGB": 3, "RGBA": 3}.get(image.mode)
        if colours is None or (bits or _tag(image, _BITS_TAG)) != 16:
            return None
        # Pillow keeps the upper half of 16 bits.
        values = np.asarray(image)[..., :colours].max(axis=-1).astype(np.uint16) << 8
    if values is None or np.count_nonzero(values >= _DARK) > 1 + values.size // 1000:
        return None
    used = int(values[values < _DARK].max(initial=0))
    if not used:
        return None
    return Remark(
        f"16 bits of which the lower {used.bit_length()} are used, so that {round(used / 257)} of "
        "255 is the brightest; scale it to 16 bits",
        True,
    )


def _tag(image: Image, number: int) -> int | None:
    """Return the first value of a TIFF's tag."""
    value = getattr(image, "tag_v2", {}).get(number)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None
