"""The record of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import Callback
from .names import Logs
from .saved import saved_count


class History(Callback):
    """What `fit` returns: `history` (a list of floats by metric) and `epoch` (a list of ints).

    Epochs are counted from 0. `history["acc"]` and `history["accuracy"]` find
    each other, whichever was passed to `compile`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = Logs()

    def __repr__(self) -> str:
        if not self.epoch:
            return "<History of 0 epochs>"
        last = ", ".join(f"{name} {_shown(values[-1])}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs: {last} at last>"

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.epoch = []
        self.history = Logs()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def get_state(self) -> dict[str, Any]:
        return {"epoch": list(self.epoch), "history": {k: list(v) for k, v in self.history.items()}}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.epoch = [saved_count({"epoch": epoch}, "epoch") for epoch in state["epoch"]]
        self.history = Logs({name: list(values) for name, values in state["history"].items()})


def _shown(value: Any) -> str:
    """Return a logged value with few digits; callbacks may log what is no number."""
    try:
        return f"{value:.4g}"
    except (TypeError, ValueError):
        return repr(value)
