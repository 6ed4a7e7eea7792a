"""A training run as a table in a file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

from .._core.files import named_in_errors, replacing
from ..metrics import is_name
from .base import Callback
from .names import LogNames, Logs
from .saved import saved_number, saved_texts

_MISSING = "NA"


class CSVLogger(Callback):
    """Write one row an epoch: its number, counted from 0, and all metrics.

    Args:
        filename: the file. It is begun anew unless `append` is set; a resumed
            run keeps the rows up to the epoch it goes on from.
        separator: what stands between two columns.
        append: add to a table that exists. Columns that are new to it are
            added to its rows as well.

    The columns are those that the run will have, sorted; an epoch without a
    value (as without a validation) has "NA" in its place. A metric that turns
    up later is a column more. Every row is on disk when the epoch's
    `on_epoch_end` returns.

    Raises ValueError, before anything is trained, if rows are to be kept and the
    file is no such table, and OSError if it cannot be written.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"CSVLogger: separator is {separator!r}; it must be one character")
        self.separator = separator
        self.append = append
        self._reset()

    def _reset(self) -> None:
        self._file: Any = None
        self._columns: list[str] = []
        self._resumed_after: float | None = None
        self._last_epoch: float | None = -1

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Keep the run's facts; raise if the file cannot take its rows."""
        super().set_params(params)
        if self.append and "logs" in params:
            self._read()

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.close()
        self._reset()
        folder = os.path.dirname(self.filename)
        if folder:
            os.makedirs(folder, exist_ok=True)
        # Nothing is lost yet if the file cannot be written; after an epoch, an epoch is.
        open(self.filename, "a", encoding="utf-8").close()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        if self._file is None:
            names: LogNames | None = self.params.get("logs")
            known = () if names is None else (*names.always, *names.sometimes)
            self._begin([*self._columns, *sorted({*known, *logs})])
        elif any(name not in Logs.fromkeys(self._columns) for name in logs):
            self._file.close()
            # What was written has no value for the new columns; it is written again with them.
            self._write(self._read(), sorted(logs))
        with named_in_errors(self.filename):
            self._row(csv.writer(self._file, delimiter=self.separator), {**logs, "epoch": epoch})
            self._file.flush()
        self._last_epoch = epoch

    def _begin(self, names: Iterable[str]) -> None:
        """Open the file with the rows that are to be kept."""
        kept: list[dict[str, str]] = []
        if self._resumed_after is not None or self.append:
            kept = self._read()
        if self._resumed_after is not None:
            # What a stopped run wrote after the checkpoint is written again.
            last = self._resumed_after
            kept = [row for row in kept if row["epoch"].isdigit() and int(row["epoch"]) <= last]
        self._write(kept, names)

    def _read(self) -> list[dict[str, str]]:
        """Return the file's rows and take over its columns; a missing or empty file has none."""
        if not os.path.exists(self.filename):
            return []
        try:
            with open(self.filename, newline="", encoding="utf-8") as file:
                table = [row for row in csv.reader(file, delimiter=self.separator) if row]
        except (UnicodeDecodeError, csv.Error):
            table = [["?"]]
        if not table:
            return []
        header, *rows = table
        if header[0] != "epoch" or any(len(row) > len(header) for row in rows):
            raise ValueError(
                f"CSVLogger: filename is {self.filename!r}; it must be a table of epochs with "
                f"{self.separator!r} between its columns; give another filename or separator"
            )
        self._columns = header[1:]
        return [dict(zip(header, row, strict=False)) for row in rows]

    def _write(self, rows: list[dict[str, str]], names: Iterable[str]) -> None:
        """Write the table anew, with the columns there were and those of `names`."""
        for name in names:
            if name != "epoch" and name not in Logs.fromkeys(self._columns):
                self._columns.append(name)
        if rows:
            # The table there was stays until all of it is written again.
            text = io.StringIO()
            self._table(text, rows)
            with replacing(self.filename) as file:
                file.write(text.getvalue().encode("utf-8"))
        # Closed in close(), which fit calls however the run ends.
        self._file = open(self.filename, "a" if rows else "w", newline="", encoding="utf-8")  # noqa: SIM115
        if not rows:
            self._table(self._file, rows)

    def _table(self, file: Any, rows: list[dict[str, str]]) -> None:
        """Write the columns' names and rows."""
        writer = csv.writer(file, delimiter=self.separator)
        writer.writerow(["epoch", *self._columns])
        for row in rows:
            self._row(writer, row)

    def _row(self, writer: Any, row: Mapping[str, Any]) -> None:
        values = Logs(row)
        writer.writerow([row["epoch"], *(values.get(name, _MISSING) for name in self._columns)])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def get_state(self) -> dict[str, Any]:
        return {"columns": self._columns or None, "epoch": self._last_epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        columns = None if state["columns"] is None else saved_texts(state, "columns")
        # What a file says is written into another one only where it is a name: else the table
        # that is there, or the logs, tell the columns.
        self._columns = list(columns or ()) if all(map(is_name, columns or ())) else []
        self._resumed_after = self._last_epoch = saved_number(state, "epoch")
        self._read()
