"""A picture of a training run, drawn by matplotlib (an extra, imported when first used)."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

from .._core.files import replacing


def check_plot(path: str | os.PathLike[str]) -> None:
    """Raise ImportError without matplotlib, ValueError for an ending it does not write."""
    endings = figure_canvas().get_supported_filetypes()
    ending = os.path.splitext(path)[1].removeprefix(".").lower()
    if ending not in endings:
        raise ValueError(f"{os.fspath(path)!r} must end in one of .{', .'.join(sorted(endings))}")


def plot_history(history: Mapping[str, Sequence[float]], path: str | os.PathLike[str]) -> None:
    """Draw every metric of a `History.history` by epoch, training and validation together.

    Raises ValueError if the history is empty. A file that is there is replaced
    once the picture is on the disk.
    """
    canvas_class = figure_canvas()
    from matplotlib.figure import Figure

    names = [name for name in history if not name.startswith("val_")]
    if not names:
        raise ValueError("plot_history: history is empty; it must hold an epoch at least")
    figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
    canvas_class(figure)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in history:
                axes.plot(range(1, len(history[key]) + 1), history[key], marker=".", label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name, parse_math=False)
        axes.legend()
    folder = os.path.dirname(os.fspath(path))
    if folder:
        os.makedirs(folder, exist_ok=True)
    picture = io.BytesIO()
    figure.savefig(picture, format=os.path.splitext(path)[1].removeprefix("."))
    with replacing(path) as file:
        file.write(picture.getbuffer())


def figure_canvas() -> Any:
    """Return the class that draws without a window."""
    try:
        # Not pyplot: it would choose a window system, and keep every figure.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise ImportError(
            f"matplotlib cannot be imported ({error}); install it with: "
            "pip install 'fastconv[plot]'"
        ) from error
    return FigureCanvasAgg
