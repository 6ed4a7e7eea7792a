"""What a training run tells its user when it ends."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any


class Report:
    """Tells how a run went, what it wrote and what can be done with it."""

    def __init__(self, settings: Mapping[str, Any], checkpoint: Any, last: Any) -> None:
        self._settings = settings
        self._checkpoint = checkpoint
        self._last = last

    @property
    def _best(self) -> str | None:
        """The file of the best model, this session's or an earlier one's."""
        from .run_files import matches

        there = matches(self._settings["checkpoint"])
        return next(
            (path for path in reversed(self._checkpoint.saved_paths) if path in there), None
        )

    def interruption(self) -> str:
        """Return what is kept of a run that was stopped, and how it goes on."""
        if self._last.resumable is None:
            return "interrupted; nothing was trained yet"
        best = "" if self._best is None else f"the last checkpoint is {self._best}, "
        return f"interrupted; {best}go on with --resume {shlex.quote(self._last.resumable)}"

    def advice(self) -> str:
        """Return what to do about a loss that is no number."""
        best = "no model" if self._best is None else f"{self._best}, the best model before it,"
        return f"{best} is kept; try a smaller --learning-rate"

    def tell(self, history: Any, before: int, folder: Any, plot: str | None) -> None:
        """Print how well it went, `before` epochs being another session's, and draw it."""
        settings = self._settings
        epochs = len(history.epoch)
        stopped = epochs < settings["epochs"]
        if epochs == before:
            print(
                f"Nothing to do: {self._last.resumable} is of a run that ended with epoch {before}"
            )
        elif stopped:
            print(f"Stopped: val_loss has not been lower for {settings['patience']} epochs")
        print(best_epoch(history.history))
        written = list(self._last.best_paths)
        if epochs > before:
            written += [settings[name] for name in ("history", "log_dir") if settings[name]]
        if plot is not None:
            from ..visualization.history import plot_history

            plot_history(history.history, plot)
            written.append(plot)
        if written:
            print(f"Wrote {', '.join(written)}")
        if self._best is not None:
            self._tell_next(shlex.quote(self._best), shlex.quote(str(folder)), stopped)

    def tell_flips(self, result: Mapping[str, float]) -> None:
        """Print how the last epoch's model does when images are averaged with their mirrors."""
        told = ", ".join(f"val_{name} {value:.4f}" for name, value in result.items())
        print(f"Last epoch, each image averaged with its mirror image: {told}")

    def _tell_next(self, best: str, folder: str, stopped: bool) -> None:
        more = "patience" if stopped else "epochs"
        number = 2 * (self._settings[more] or 1)
        print(f"Next: python -m fastconv.evaluate {best} {folder}")
        print(f"      python -m fastconv.predict {best} IMAGE")
        print(f"      python -m fastconv.train --resume {best} --{more} {number}")


def best_epoch(history: Mapping[str, Sequence[float]]) -> str:
    """Tell of the epoch with the lowest validation loss, and of a higher accuracy elsewhere."""
    losses, accuracies = history["val_loss"], history["val_accuracy"]
    # A loss that is no number comes last, wherever it stands.
    best = min(range(len(losses)), key=lambda epoch: (math.isnan(losses[epoch]), losses[epoch]))
    text = (
        f"Best epoch: {best + 1} of {len(losses)}, val_loss {losses[best]:.4f}, "
        f"val_accuracy {accuracies[best]:.4f}"
    )
    highest = max(accuracies)
    if highest > accuracies[best]:
        text += f" (highest {highest:.4f} in epoch {accuracies.index(highest) + 1})"
    return text
