"""A training run as a table in a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from typing import Any

from ..metrics import is_name
from .base import Callback
from .saved import saved_number, saved_texts


class CSVLogger(Callback):
    """Write one row an epoch: its number, counted from 0, and all metrics.

    Args:
        filename: the file. It is begun anew unless `append` is set; a resumed
            run keeps the rows up to the epoch it goes on from.
        separator: what stands between two columns.
        append: add to a file that exists.

    Every row is on disk when the epoch's `on_epoch_end` returns.
    """

    def __init__(
        self, filename: str | os.PathLike, separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._reset()

    def _reset(self) -> None:
        self._file = None
        self._writer = None
        self._columns: list[str] | None = None
        self._resumed_after: int | None = None
        self._last_epoch = -1

    def on_train_begin(self, logs=None) -> None:
        self.close()
        self._reset()

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        logs = logs or {}
        if self._writer is None:
            self._open(list(logs))
        # A column that this epoch has no value for is "NA", as in Keras.
        self._writer.writerow({"epoch": epoch, **{c: logs.get(c, "NA") for c in self._columns}})
        self._file.flush()
        self._last_epoch = epoch

    def _open(self, names: list[str]) -> None:
        kept = self._rows_to_keep()
        header = kept[0] if kept else ["epoch", *sorted(names)]
        self._columns = self._columns or header[1:]
        folder = os.path.dirname(self.filename)
        if folder:
            os.makedirs(folder, exist_ok=True)
        # Closed in close(), which fit calls however the run ends.
        self._file = open(self.filename, "w", newline="")  # noqa: SIM115
        rows = csv.writer(self._file, delimiter=self.separator)
        rows.writerows(kept or [header])
        self._writer = csv.DictWriter(
            self._file, ["epoch", *self._columns], delimiter=self.separator
        )

    def _rows_to_keep(self) -> list[list[str]]:
        if (self._resumed_after is None and not self.append) or not os.path.exists(self.filename):
            return []
        with open(self.filename, newline="") as file:
            rows = [row for row in csv.reader(file, delimiter=self.separator) if row]
        if self._resumed_after is None:
            return rows
        # What a stopped run wrote after the checkpoint is written again.
        last = self._resumed_after
        return rows[:1] + [row for row in rows[1:] if row[0].isdigit() and int(row[0]) <= last]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None

    def get_state(self) -> dict[str, Any]:
        return {"columns": self._columns, "epoch": self._last_epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        columns = None if state["columns"] is None else saved_texts(state, "columns")
        # What a file says is written into another one only where it is a name: else the table
        # that is there, or the logs, tell the columns.
        self._columns = columns if all(map(is_name, columns or ())) else None
        self._resumed_after = self._last_epoch = saved_number(state, "epoch")
