"""`python -m fastconv.experiments`: the chapter's experiments, from several seeds each."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from ..studies.chapter import CHAPTER, EPOCHS
from .common import UsageError, add_threads, command_line, number, positive_int, shown, use_threads

if TYPE_CHECKING:
    from ..preprocessing.parts import DataSet
    from ..studies.runs import Row, Run

DESCRIPTION = (
    "Run the chapter's experiments from several seeds each, and write a table, curves and a CSV "
    "per run. Interrupt it as you like: the same command goes on, and repeats nothing that is done."
)
_MOST_SEEDS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("study", choices=("chapter",), help="which experiments: the four of the chapter")
    add(
        "--data",
        metavar="DIR|ZIP|synthetic",
        help="the photos, as for train (default: ./dog-vs-cat, the cache, the chapter's address)",
    )
    add(
        "--output",
        metavar="DIR",
        default="chapter",
        help="folder for report.md, curves.png and runs/, made if missing (default: %(default)s)",
    )
    add("--seeds", type=_seeds, default=5, metavar="N", help="seeds 0 to N - 1 (default: 5)")
    add(
        "--only",
        choices=tuple(CHAPTER),
        nargs="+",
        metavar="NAME",
        help=f"run only some of {', '.join(CHAPTER)} (default: all); the report has all that are "
        "done in the folder",
    )
    add(
        "--epochs",
        type=positive_int,
        default=EPOCHS,
        metavar="N",
        help="epochs at most (default: the chapter's %(default)s)",
    )
    add_threads(parser)


def _seeds(text: str) -> int:
    wanted = f"a whole number of at least 1, at most {_MOST_SEEDS}"
    return number(text, int, lambda value: 1 <= value <= _MOST_SEEDS, wanted)


def experiments(arguments: argparse.Namespace) -> int:
    """Run what is not done yet, then write the report."""
    from ..studies import runs as study
    from .interruption import Interrupted

    use_threads(arguments)
    folder = arguments.output
    if not folder:
        raise UsageError("--output is ''; it must be a folder's name")
    data = _open_data(arguments.data)
    try:
        study.check_folder(folder, data, arguments.epochs)
    except (OSError, ValueError) as error:
        raise UsageError(f"--output: {error}") from None
    planned = [
        study.Run(CHAPTER[name], seed, arguments.epochs)
        for seed in range(arguments.seeds)
        for name in CHAPTER
        if arguments.only is None or name in arguments.only
    ]
    print(f"{len(planned)} runs, photos in {shown(data.folder)}, results in {shown(folder)}")
    try:
        _run_all(planned, data, folder)
    except Interrupted as interrupted:
        raise Interrupted(
            interrupted.number,
            f"interrupted; the same command goes on: what is done is in {shown(folder)}",
        ) from None
    _write_report(folder, data, arguments.epochs)
    return 0


main = command_line("experiments", DESCRIPTION, add_arguments, experiments)


def _open_data(wanted: str | None) -> DataSet:
    from .. import datasets
    from ..datasets.opening import open_data_set
    from ..preprocessing.parts import training_faults

    try:
        if wanted == "synthetic":
            data = open_data_set(datasets.synthetic())
        else:
            data = open_data_set(datasets.dog_vs_cat() if wanted is None else wanted)
        for _, text in training_faults(_counts(data)):
            raise ValueError(text)
        return data
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError) as error:
        raise UsageError(f"--data {wanted}: {error}" if wanted else f"data: {error}") from None


def _counts(data: DataSet) -> dict[str, dict[str, int]]:
    """Return how many images of each class the parts have that a run goes over."""
    from ..preprocessing.parts import listed_images

    folders = data.class_folders
    return {role: listed_images(folders[role]) for role in folders if role != "test"}


def _run_all(planned: list[Run], data: DataSet, folder: str) -> None:
    """Run what is not done yet, with a line each."""
    from .interruption import StopOnNaN, StopOnSignal

    with StopOnSignal() as signals:
        for number, run in enumerate(planned, 1):
            # What runs now is told before, its result behind it.
            print(f"{number}/{len(planned)} {run.experiment.name}, seed {run.seed}: ", end="")
            sys.stdout.flush()
            try:
                print(_result(run, data, folder, [StopOnNaN(), signals]))
            except BaseException:
                print()
                raise


def _result(run: Run, data: DataSet, folder: str, callbacks: list[Any]) -> str:
    """Run what is not done yet, and say how it went."""
    from ..studies import runs as study
    from ..studies.summary import best
    from .run_files import locked

    rows = _rows(run, folder)
    done = "done before"
    if rows is None:
        with locked(study.path_of(run, folder)) as free:
            if not free:
                raise UsageError(
                    f"--output: another command is at {run.name} in {folder!r} now; wait for it, "
                    "or give another folder"
                )
            rows = study.train(run, data, folder, callbacks)
        done = f"{len(rows)} epochs in {sum(row['seconds'] for row in rows):.0f}s"
    top = best(rows)
    return f"{done}, best val_accuracy {top['val_accuracy']:.4f} after epoch {top['epoch']:.0f}"


def _rows(run: Run, folder: str) -> list[Row] | None:
    from ..studies.runs import read_rows

    try:
        return read_rows(run, folder)
    except (OSError, ValueError) as error:
        raise UsageError(f"--output: {error}") from None


def _write_report(folder: str, data: DataSet, epochs: int) -> None:
    """Write table and curves of all that is done in the folder."""
    from .._core.files import replacing
    from ..studies import summary
    from ..studies.runs import done_in

    results: dict[Any, dict[int, list[Row]]] = {}
    for run in done_in(folder, epochs):
        results.setdefault(run.experiment, {})[run.seed] = _rows(run, folder) or []
    curves: str | None = "curves.png"
    try:
        summary.draw_curves(results, os.path.join(folder, "curves.png"))
    except ImportError as error:
        curves = None
        print(f"curves.png is not drawn: {error}", file=sys.stderr)
    path = os.path.join(folder, "report.md")
    with replacing(path) as file:
        file.write(summary.report(results, _circumstances(data, epochs), curves).encode())
    print(*summary.table(results), sep="\n")
    print(f"Wrote {shown(path)}")


def _circumstances(data: DataSet, epochs: int) -> list[str]:
    """Return, a sentence each, what the results were reached with."""
    from .._core.runtime import get_num_threads, kernels
    from .._version import __version__
    from ..preprocessing.parts import share_text, validation_share
    from ..studies.chapter import PHOTOS

    counts = _counts(data)
    said = [
        f"fastconv {__version__} on {kernels.simd_level}, {get_num_threads()} threads at the last, "
        f"photos in {os.path.basename(data.folder)!r}."
    ]
    if epochs != EPOCHS:
        said.append(f"Epochs at most: {epochs}, where the chapter has {EPOCHS}.")
    if "validation" not in counts:
        said.append(f"{share_text(data, validation_share(next(iter(counts.values()))))}.")
    if {role: sum(count.values()) for role, count in counts.items()} != PHOTOS:
        said.append("The chapter's and PyTorch's figures are of other photos.")
    return said
