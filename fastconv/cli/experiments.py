"""`python -m fastconv.experiments`: the chapter's experiments, from several seeds each."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .common import UsageError, add_threads, command_line, positive_int, shown, use_threads

if TYPE_CHECKING:
    from ..preprocessing.parts import DataSet
    from ..studies.runs import Row, Run

DESCRIPTION = (
    "Run the chapter's experiments from several seeds each, and write a table, curves and a CSV "
    "per run. Interrupt it as you like: the same command goes on, and repeats nothing that is done."
)
_NAMES = ("model1", "model2", "model3", "model3-as-listed", "model4")


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
    add("--seeds", type=positive_int, default=5, metavar="N", help="runs of each (default: 5)")
    add(
        "--only",
        choices=_NAMES,
        nargs="+",
        metavar="NAME",
        help=f"some of {', '.join(_NAMES)} (default: all)",
    )
    add(
        "--epochs",
        type=positive_int,
        default=30,
        metavar="N",
        help="epochs at most; the chapter's are 30 (default: 30)",
    )
    add_threads(parser)


def experiments(arguments: argparse.Namespace) -> int:
    """Run what is not done yet, then write the report."""
    from ..studies import runs as study
    from ..studies.chapter import CHAPTER
    from .interruption import Interrupted

    use_threads(arguments)
    folder = arguments.output
    data = _open_data(arguments.data)
    try:
        study.check_folder(folder, data, arguments.epochs)
    except (OSError, ValueError) as error:
        raise UsageError(f"--output: {error}") from None
    results: dict[Any, dict[int, list[Row]]] = {}
    planned = [
        study.Run(CHAPTER[name], seed, arguments.epochs)
        for seed in range(arguments.seeds)
        for name in _NAMES
        if arguments.only is None or name in arguments.only
    ]
    print(f"{len(planned)} runs, photos in {shown(data.folder)}, results in {shown(folder)}")
    try:
        for number, (run, rows, new) in enumerate(_each(planned, data, folder), 1):
            results.setdefault(run.experiment, {})[run.seed] = rows
            print(_line(number, len(planned), run, rows, new))
    except Interrupted as interrupted:
        raise Interrupted(
            interrupted.number,
            f"interrupted; the same command goes on: what is done is in {shown(folder)}",
        ) from None
    _write_report(results, folder, data, arguments.epochs)
    return 0


main = command_line("experiments", DESCRIPTION, add_arguments, experiments)


def _open_data(wanted: str | None) -> DataSet:
    from .. import datasets
    from ..datasets.opening import open_data_set

    try:
        if wanted == "synthetic":
            return open_data_set(datasets.synthetic())
        return open_data_set(datasets.dog_vs_cat() if wanted is None else wanted, True)
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError) as error:
        raise UsageError(f"--data {wanted or ''}: {error}") from None


def _each(planned: list[Run], data: DataSet, folder: str) -> Iterator[tuple[Run, list[Row], bool]]:
    """Yield each run with its rows, and whether it was run now."""
    from ..studies import runs as study
    from .interruption import StopOnNaN, StopOnSignal

    with StopOnSignal() as signals:
        for run in planned:
            try:
                rows = study.read_rows(run, folder)
            except ValueError as error:
                raise UsageError(f"--output: {error}") from None
            if rows is not None:
                yield run, rows, False
                continue
            yield run, study.train(run, data, folder, [StopOnNaN(), signals]), True


def _line(number: int, count: int, run: Run, rows: list[Row], new: bool) -> str:
    from ..studies.summary import best

    top = best(rows)
    seconds = sum(row["seconds"] for row in rows)
    done = f"{len(rows)} epochs in {seconds:.0f}s" if new else "done before"
    return (
        f"{number}/{count} {run.experiment.name}, seed {run.seed}: {done}, best val_accuracy "
        f"{top['val_accuracy']:.4f} after epoch {top['epoch']:.0f}"
    )


def _write_report(results: Any, folder: str, data: DataSet, epochs: int) -> None:
    from .._core.files import replacing
    from .._core.runtime import get_num_threads
    from .._version import __version__
    from ..studies import summary

    photos = os.path.basename(data.folder)
    said = [f"fastconv {__version__}, {get_num_threads()} threads, photos in {photos!r}."]
    if epochs != 30:
        said.append(f"Epochs at most: {epochs}, where the chapter has 30.")
    try:
        summary.draw_curves(results, os.path.join(folder, "curves.png"))
    except ImportError as error:
        print(f"curves.png is not drawn: {error}", file=sys.stderr)
    path = os.path.join(folder, "report.md")
    with replacing(path) as file:
        file.write(summary.report(results, said).encode())
    print(*summary.table(results), sep="\n")
    print(f"Wrote {shown(path)}")
