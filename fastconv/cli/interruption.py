"""How a training ends before its time: by a signal, or by a loss that is no number."""

from __future__ import annotations

import math
import signal
import threading
from typing import Any

from ..callbacks import Callback

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The end that a signal asks for: `exit_code` is 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, number: int, text: str = "interrupted") -> None:
        super().__init__(text)
        self.number = number
        self.exit_code = 128 + number


class StopOnSignal(Callback):
    """Ends the run at Ctrl-C or SIGTERM, behind the running step or the epoch's files.

    As a context manager it takes the signals; as the last of the callbacks it
    knows when the run can be stopped. A second signal ends at once. Signals
    that are ignored stay so, as in a shell's background job.
    """

    runs_last = True

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[int, Any] = {}
        self._received: int | None = None
        self._busy = False

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, number: int, frame: Any) -> None:
        first, self._received = self._received is None, number
        if not (first and self._busy):
            raise Interrupted(number)

    def _free(self) -> None:
        self._busy = False
        if self._received is not None:
            raise Interrupted(self._received)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._busy = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._free()

    def on_test_end(self, logs: Any = None) -> None:
        self._busy = True  # the epoch's rows and files belong together

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._free()


class StopOnNaN(Callback):
    """Ends the run with FloatingPointError, before anything is saved of a loss that is no number.

    Goes in front of the callbacks that write.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._check("loss", logs, f", batch {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._check("loss", logs, "")
        self._check("val_loss", logs, "")

    def _check(self, name: str, logs: Any, where: str) -> None:
        value = (logs or {}).get(name, 0.0)
        if not math.isfinite(value):
            raise FloatingPointError(f"the {name} is {value} in epoch {self._epoch + 1}{where}")
