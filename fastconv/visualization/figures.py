"""Pictures drawn by matplotlib (an extra): as files, in notebooks, in any script."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core.files import replacing

#: Fonts with Hangul of the usual systems, which take over where the usual font has no letter.
_KOREAN = (
    "NanumGothic",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "UnDotum",
)
COLOURS = ("#3466a8", "#d9732b", "#3a8f5c", "#b0446c", "#7a64b0", "#8a6d3b")


def require_matplotlib() -> None:
    """Raise ImportError, with what to install, without matplotlib."""
    try:
        # Not pyplot: it would choose a window system, and keep every figure.
        import matplotlib.backends.backend_agg  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"matplotlib cannot be imported ({error}); install it with: "
            "pip install 'fastconv[plot]'"
        ) from error


@functools.cache
def _picture_class() -> Any:
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure without a window: `save(path)`, or the last line of a notebook's cell.

        Its background is white, in dark notebooks too.
        """

        def __init__(self, width: float, height: float) -> None:
            super().__init__(figsize=(width, height), layout="constrained", facecolor="white")
            FigureCanvasAgg(self)

        def png(self, dpi: float = 110) -> bytes:
            """Return the picture as the bytes of a PNG file."""
            return _drawn(self, "png", dpi)

        def _repr_png_(self) -> bytes:
            return self.png()

        def save(self, path: str | os.PathLike[str], dpi: float = 110) -> None:
            """Write the picture; the ending says how: .png, .svg, .pdf, ... Missing folders are
            made, and a file that is there is replaced once the new one is on the disk."""
            check_ending(path)
            kind = os.path.splitext(path)[1].removeprefix(".").lower()
            drawn = _drawn(self, kind, dpi)
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            with replacing(path) as file:
                file.write(drawn)

    return Picture


def new_picture(width: float, height: float) -> Any:
    """Return an empty picture of so many inches: a matplotlib `Figure` with `save` and `png`."""
    return _picture_class()(width, height)


def check_ending(path: str | os.PathLike[str]) -> None:
    """Raise ImportError without matplotlib, ValueError for an ending that it does not write."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    endings = FigureCanvasAgg.get_supported_filetypes()
    ending = os.path.splitext(path)[1].removeprefix(".").lower()
    if ending not in endings:
        raise ValueError(f"{os.fspath(path)!r} must end in one of .{', .'.join(sorted(endings))}")


def _drawn(figure: Any, kind: str, dpi: float) -> bytes:
    from matplotlib.text import Text

    families = _families()
    for text in figure.findobj(Text):
        text.set_fontfamily(families)
        text.set_parse_math(False)  # a dollar in a name is a dollar
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(file, format=kind, dpi=dpi)
    if len(families) == 1 and any(map(_has_hangul, (t.get_text() for t in figure.findobj(Text)))):
        warnings.warn(
            "no font with Hangul is installed, so it is drawn as boxes; install one, for example "
            "fonts-nanum",
            stacklevel=3,
        )
    return file.getvalue()


@functools.cache
def _families() -> list[str]:
    """Return the fonts to look for letters in, in their order."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    installed = {font.name for font in manager.ttflist}
    if installed.isdisjoint(_KOREAN):  # matplotlib lists fonts once; one may be newer than its list
        for path in font_manager.findSystemFonts():
            name = os.path.basename(path).lower()
            if any(one.replace(" ", "").lower() in name.replace("-", "") for one in _KOREAN):
                with contextlib.suppress(OSError, RuntimeError):  # a file that is no font
                    manager.addfont(path)
        installed = {font.name for font in manager.ttflist}
    return ["DejaVu Sans", *(name for name in _KOREAN if name in installed)]


def _has_hangul(text: str) -> bool:
    return any("\uac00" <= letter <= "\ud7a3" for letter in text)


def show_image(axes: Any, image: np.ndarray, **options: Any) -> None:
    """Show an image (height, width) or (height, width, 1 or 3), of 0-255 or 0-1, without axes."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.dtype != np.uint8 and image.size:
        low, high = float(np.nanmin(image)), float(np.nanmax(image))
        if low >= 0 and high <= 255:
            image = image / (255 if high > 1 else 1)
        else:  # standardized: as light as its own values
            image = (image - low) / (high - low)
    if image.ndim == 2:
        options.setdefault("cmap", "gray")
    axes.imshow(image, interpolation="nearest", **options)
    axes.set_axis_off()


def grid(count: int, columns: int, size: float, extra: float = 0.0) -> tuple[Any, Sequence[Any]]:
    """Return a picture with `count` panels of `size` inches, `extra` more in height, and them."""
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    picture = new_picture(columns * size, rows * (size + extra))
    panels = picture.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[count:]:
        panel.set_axis_off()
    return picture, panels[:count]
