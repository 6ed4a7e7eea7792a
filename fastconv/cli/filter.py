"""`python -m fastconv.filter`: one 2-D filter over an image, as in the chapter's section 11.1."""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from .._core.files import replacing
from .common import UsageError, command_line, usage_errors

DESCRIPTION = "Run one 2-D filter over an image."

KERNELS: Mapping[str, Sequence[Sequence[float]]] = MappingProxyType(
    {
        "vertical": [[1, -1], [1, -1]],
        "horizontal": [[-1, -1], [1, 1]],
        "blur": np.full((3, 3), 1 / 9).tolist(),
        "gaussian": (np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256).tolist(),
        "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
        "edges": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
        "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
        "sobel-x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        "sobel-y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    }
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="the image file")
    parser.add_argument(
        "--kernel",
        required=True,
        metavar="NAME|ROWS",
        help=f"{', '.join(KERNELS)}; or the numbers themselves, rows apart by semicolons: "
        "'1 -1; 1 -1'",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT.png", help="the image file to write"
    )


def filter_image(arguments: argparse.Namespace) -> int:
    """Filter as the arguments say."""
    from PIL import Image

    kernel = parse_kernel(arguments.kernel)
    folder, name = os.path.split(arguments.output)
    kind = Image.registered_extensions().get(os.path.splitext(name)[1].lower())
    if kind not in Image.SAVE:
        raise UsageError(
            f"-o {arguments.output!r}: give a name that ends in .png, .jpg or the like"
        )
    if folder and not os.path.isdir(folder):
        raise UsageError(f"-o {arguments.output!r}: there is no folder {folder!r}")
    if os.path.isdir(arguments.output):
        raise UsageError(f"-o {arguments.output!r} is a folder; give a file's name")
    pixels = _read(arguments.image)
    filtered = apply_kernel(pixels, kernel)
    # What cannot be written as such a picture is a mistake, unlike a disk that is full.
    encoded = io.BytesIO()
    try:
        Image.fromarray(filtered).save(encoded, kind)
    except (OSError, ValueError) as error:
        raise UsageError(f"-o {arguments.output!r}: {error}; give another ending") from None
    with replacing(arguments.output) as file:
        file.write(encoded.getbuffer())
    print(f"Wrote {arguments.output}, {filtered.shape[1]} x {filtered.shape[0]} pixels")
    return 0


main = command_line("filter", DESCRIPTION, add_arguments, filter_image)


def parse_kernel(text: str) -> np.ndarray:
    """Return the filter of a name, or of numbers such as "1 -1; 1 -1", as (rows, columns)."""
    if text in KERNELS:
        return np.array(KERNELS[text], np.float32)
    try:
        rows = [row.replace(",", " ").split() for row in text.strip(" ;").split(";")]
        kernel = np.array([[float(number) for number in row] for row in rows], np.float32)
        good = kernel.ndim == 2 and kernel.size > 0 and np.isfinite(kernel).all()
    except ValueError:
        good = False
    if not good:
        raise UsageError(
            f"--kernel {text!r} is unknown; give {', '.join(KERNELS)}, or rows of numbers of one "
            "length, such as '1 -1; 1 -1'"
        )
    return kernel


def apply_kernel(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return uint8 `pixels`, (height, width[, 3]), filtered, of the same shape.

    Pixels beyond the edge are as those on it. A filter whose numbers sum to 0
    answers to edges, dark to bright or the other way; of that the size is shown.
    """
    from ..ops import filter2d

    rows, columns = kernel.shape
    margins = [((rows - 1) // 2, rows // 2), ((columns - 1) // 2, columns // 2)]
    margins += [(0, 0)] * (pixels.ndim - 2)
    padded = np.pad(pixels.astype(np.float32), margins, mode="edge")
    response = filter2d(padded, kernel)
    if abs(float(kernel.sum())) < 1e-6:
        response = np.abs(response)
    levels: np.ndarray = np.clip(np.rint(response), 0, 255).astype(np.uint8)
    return levels


def _read(path: str) -> np.ndarray:
    from ..preprocessing.image_files import load_grey_or_rgb

    if not os.path.isfile(path):
        raise UsageError(f"there is no image file {path!r}")
    with usage_errors(OSError):
        return np.asarray(load_grey_or_rgb(path))
