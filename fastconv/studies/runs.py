"""One training of a study: run once, gone on with after an interruption, kept as a CSV."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import architectures, utils
from .._core.files import replacing
from .._version import __version__
from ..callbacks import BackupAndRestore, Callback, EarlyStopping
from ..preprocessing.parts import DataSet, listed_images
from ..preprocessing.training_data import training_iterators
from .chapter import CHAPTER, Experiment

COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")
Row = dict[str, float]
_SIZE = 100  # pixels, as in the chapter


@dataclass(frozen=True)
class Run:
    """A training of `experiment` from one seed; `epochs` at most."""

    experiment: Experiment
    seed: int
    epochs: int

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.experiment.name}-seed-{self.seed}"


def check_folder(folder: str, data: DataSet, epochs: int) -> None:
    """Note in a study's folder what it is of; raise ValueError if it is of something else.

    Runs of other photos, or of other lengths, must not be put into one table.
    """
    facts = {"photos": _digest(data), "epochs": epochs, "version": __version__}
    path = os.path.join(folder, "study.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            try:
                found = json.load(file)
            except ValueError:
                found = None
        if found != facts:
            raise ValueError(
                f"{folder!r} holds runs of other photos, epochs or another version of fastconv; "
                "give another folder"
            )
        return
    os.makedirs(os.path.join(folder, "runs"), exist_ok=True)
    with replacing(path) as file:
        file.write(json.dumps(facts, indent=1, ensure_ascii=False).encode())


def _digest(data: DataSet) -> str:
    """Return what tells photos from others: their names and sizes, by class and part."""
    digest = hashlib.sha256()
    for role, part in sorted(data.class_folders.items()):
        for name in sorted(listed_images(part)):
            with os.scandir(os.path.join(part, name)) as entries:
                files = sorted((one.name, one.stat().st_size) for one in entries)
            digest.update(os.fsencode(repr((role, name, files))))
    return digest.hexdigest()[:16]


def path_of(run: Run, folder: str) -> str:
    """Return where a run's rows are kept when it is done."""
    return os.path.join(folder, "runs", f"{run.name}.csv")


def done_in(folder: str, epochs: int) -> Iterator[Run]:
    """Yield the runs that are done in a folder, in the chapter's order."""
    for experiment in CHAPTER.values():
        pattern = re.compile(rf"{re.escape(experiment.name)}-seed-(0|[1-9]\d{{0,9}})\.csv")
        found = map(pattern.fullmatch, os.listdir(os.path.join(folder, "runs")))
        for seed in sorted(int(match[1]) for match in found if match):
            yield Run(experiment, seed, epochs)


def read_rows(run: Run, folder: str) -> list[Row] | None:
    """Return the epochs of a run that is done, else None; raises ValueError for another file."""
    path = path_of(run, folder)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        if not rows:
            raise ValueError("it has no rows")
        read = [{name: float(row[name]) for name in COLUMNS} for row in rows]
        if not all(map(math.isfinite, (value for row in read for value in row.values()))):
            raise ValueError("it has values that are no numbers")
        return read
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path!r} is no run's table ({error}); remove it") from None


class EpochClock(Callback):
    """Notes how long each epoch takes; after a resumption the epochs before keep theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._start = 0.0

    def get_state(self) -> dict[str, Any]:
        return {"seconds": list(self.seconds)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.seconds = [float(value) for value in state["seconds"]]

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def prepare(run: Run, data: DataSet) -> tuple[Any, Any, Any]:
    """Return a run's compiled model and its iterators, for training and validation.

    They are those of `python -m fastconv.train` with the run's seed.
    """
    utils.set_random_seed(run.seed)
    architecture = architectures.get(run.experiment.architecture)
    recipe = architecture.recipe
    model = recipe.compile(architecture((_SIZE, _SIZE, 3)))
    with contextlib.redirect_stdout(io.StringIO()):  # how many images, again for each run
        training, validation, _ = training_iterators(
            data,
            recipe.rescale,
            architectures.AUGMENTATION if run.experiment.augmented else {},
            target_size=(_SIZE, _SIZE),
            batch_size=recipe.batch_size,
            progress=False,
        )
    if (classes := len(training.class_indices)) > 2:
        model = architectures.tell_apart(model, classes)
    return model, training, validation


def train(run: Run, data: DataSet, folder: str, more: Sequence[Callback] = ()) -> list[Row]:
    """Train as the chapter does, write the run's CSV and return its rows.

    A run that was interrupted goes on behind its last whole epoch, with the bits of one that was
    not.  `more` are further callbacks.
    """
    model, training, validation = prepare(run, data)
    patience = architectures.get(run.experiment.architecture).recipe.patience
    clock = EpochClock()
    stopping = [] if patience is None else [EarlyStopping(patience=patience)]
    backup = BackupAndRestore(os.path.join(folder, "runs", f"{run.name}.unfinished"))
    history = model.fit(
        training,
        epochs=run.epochs,
        validation_data=validation,
        callbacks=[*stopping, clock, *more, backup],
        verbose=0,
    ).history
    rows = [
        {"epoch": float(n + 1), "seconds": clock.seconds[n]}
        | {name: float(history[name][n]) for name in COLUMNS[1:-1]}
        for n in range(len(history["loss"]))
    ]
    write_rows(rows, path_of(run, folder))
    return rows


def write_rows(rows: Sequence[Row], path: str) -> None:
    """Write a run's table, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        numbers = [f"{row[name]:.6g}" for name in COLUMNS[1:]]
        writer.writerow([int(row["epoch"]), *numbers])
    with replacing(path) as file:
        file.write(text.getvalue().encode())
