"""The progress line: `63/63 [=====] - 3s 48ms/step - loss: 0.6180 - acc: 0.6627`."""

from __future__ import annotations

import shutil
import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any, TextIO

from .base import Callback
from .output import in_notebook, is_terminal, say

_BAR_WIDTH = 30


class ProgressLine(Callback):
    """Tell how far the run is: a live bar on a terminal or in a notebook, and a line an epoch.

    Where the output is a file or a pipe, there are only the lines; where there
    is no output at all, nothing.

    Args:
        live: whether a bar may be drawn (`verbose=1`) or only finished lines
            are printed (`verbose=2`).
        stream: where to; `sys.stdout` by default.
    """

    def __init__(self, live: bool = True, stream: TextIO | None = None) -> None:
        super().__init__()
        self.live = live
        self.stream = stream
        self._training = False
        self._heading = ""
        self._bar = None
        self._start = self._duration = 0.0
        self._steps_done = 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._training = True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self._training = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._begin(f"Epoch {epoch + 1}/{self.params['epochs']}")

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._show()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._advance(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._end(logs)

    # Validation within fit belongs to the epoch's line; evaluate and predict have their own.

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        if not self._training:
            self._begin("")

    def on_test_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if not self._training:
            self._show()

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if not self._training:
            self._advance(logs)

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        if not self._training:
            self._end(logs)

    def on_predict_begin(self, logs: dict[str, float] | None = None) -> None:
        self._begin("")

    def on_predict_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._show()

    def on_predict_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._advance(None)

    def on_predict_end(self, logs: dict[str, float] | None = None) -> None:
        self._end(None)

    def close(self) -> None:
        if self._bar is not None:
            # Left on the screen: it shows where an interrupted run stopped.
            self._bar.leave = True
            self._bar.close()
            self._bar = None
        self._training = False

    @property
    def _out(self) -> TextIO | None:
        return sys.stdout if self.stream is None else self.stream

    def _moves(self) -> bool:
        """Whether a bar is drawn that moves."""
        if not self.live:
            return False
        return is_terminal(self._out) or (self.stream is None and in_notebook())

    def _begin(self, heading: str) -> None:
        self._heading = heading
        self._start = time.perf_counter()
        self._duration = 0.0
        self._steps_done = 0
        if self._moves():
            if heading:
                say(heading, self._out)
            self._heading = ""

    def _show(self) -> None:
        # Only with the first batch: what other callbacks print at an epoch's start stays whole.
        if self._bar is None and self._moves():
            steps = self.params.get("steps")
            notebook = not is_terminal(self._out)
            self._bar = _notebook_bar(steps) if notebook else _live_bar(steps, self._out)

    def _advance(self, logs: Mapping[str, float] | None) -> None:
        self._steps_done += 1
        self._duration = time.perf_counter() - self._start
        if self._bar is not None:
            self._bar.set_description_str(metrics_text(logs), refresh=False)
            self._bar.update()

    def _end(self, logs: Mapping[str, float] | None) -> None:
        if self._bar is not None:
            self._bar.leave = False
            self._bar.close()
            self._bar = None
        steps = self._steps_done
        line = f"{steps}/{steps} [{'=' * _bar_width(self._out)}] - " + timing_text(
            self._duration, steps
        )
        parts = [self._heading, line, metrics_text(logs)]
        say(" - ".join(part for part in parts if part), self._out)


def metrics_text(logs: Mapping[str, float] | None) -> str:
    """Return `loss: 0.6180 - acc: 0.6627`; values too small for that in exponent form."""
    return " - ".join(
        f"{name}: {value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{name}: {value:.4e}"
        for name, value in (logs or {}).items()
    )


def timing_text(seconds: float, steps: int) -> str:
    """Return `3s 48ms/step`."""
    return f"{_clock(seconds)} {_per_step(seconds / max(steps, 1))}"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}" if hours else f"{minutes}:{whole:02d}"


def _per_step(seconds: float) -> str:
    if seconds >= 10:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


def _bar_width(stream: TextIO | None) -> int:
    if not is_terminal(stream):
        return _BAR_WIDTH
    # On a narrow terminal the figures matter more than the bar.
    return max(5, min(_BAR_WIDTH, shutil.get_terminal_size().columns - 90))


def _live_bar(steps: int | None, stream: TextIO | None) -> Any:
    """Return a tqdm bar that looks like the line that will replace it."""
    from tqdm import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # no watching thread: a training step is never that long

        @property
        def format_dict(self) -> dict[str, Any]:
            values: dict[str, Any] = super().format_dict
            per_step = values["elapsed"] / max(values["n"], 1)
            left = _clock(per_step * (values["total"] - values["n"])) if steps else "?"
            values["timing"] = f"ETA: {left} {_per_step(per_step)}"
            values["figures"] = f" - {self.desc}" if self.desc else ""
            values["ncols"] = shutil.get_terminal_size().columns - 1
            return values

    bar = f"[{{bar:{_bar_width(stream)}}}]" if steps else "[...]"
    return Bar(
        total=steps,
        file=stream,
        ascii=".>=",
        bar_format="{n_fmt}/{total_fmt} " + bar + " - {timing}{figures}",
        mininterval=0.1,
        # Left to itself tqdm draws nothing on a terminal that does not tell its size.
        ncols=80,
        nrows=24,
    )


def _notebook_bar(steps: int | None) -> Any:
    """Return tqdm's own bar for notebooks: a widget, or text where there are no widgets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm's, of widgets that are not installed
        from tqdm.auto import tqdm

        return tqdm(total=steps, file=sys.stdout, leave=False, mininterval=0.1)
