"""`python -m fastconv.check`: read a data set before training on it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .common import (
    add_threads,
    as_json,
    command_line,
    image_folder,
    natural_int,
    shown,
    usage_errors,
    use_threads,
)

if TYPE_CHECKING:
    from ..preprocessing.inspection import Inspection, Part

DESCRIPTION = (
    "Read a folder of images before training: counts, sizes, unreadable files, duplicates. The "
    "exit code is 1 if something needs you."
)
_NEAR_BITS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "directory",
        metavar="DIR",
        help="a folder with one sub-folder of images per class, or one that holds such folders "
        "named train and validation (or training, valid, val, test), or a zip of either",
    )
    parser.add_argument(
        "--near",
        type=natural_int,
        default=_NEAR_BITS,
        metavar="N",
        help="how many of a picture's 128 fingerprint bits may differ in a near duplicate "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--exact-only",
        action="store_true",
        help="look for identical files only (default: for near duplicates too)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON (default: off)")
    add_threads(parser)


def check(arguments: argparse.Namespace) -> int:
    """Check as the arguments say."""
    from ..preprocessing.inspection import as_dict, inspect

    use_threads(arguments)
    near = -1 if arguments.exact_only else arguments.near
    with usage_errors(FileNotFoundError, NotADirectoryError, PermissionError, ValueError):
        inspection = inspect(image_folder(arguments.directory), near, progress=not arguments.json)
    if arguments.json:
        print(as_json(as_dict(inspection)))
    else:
        _print(inspection)
    return 0 if inspection.valid else 1


main = command_line("check", DESCRIPTION, add_arguments, check)


def _print(inspection: Inspection) -> None:
    for part in inspection.parts:
        _print_part(part)
    if inspection.kept is not None:
        print(f"Training: {inspection.kept}")
    needs = [finding.text for finding in inspection.findings if finding.act]
    notes = [finding.text for finding in inspection.findings if not finding.act]
    for title, texts in (("Worth knowing", notes), ("Needs you", needs)):
        if texts:
            print(f"{title}:")
            for text in texts:
                print(f"  - {shown(text)}")
    if not needs:
        print("Nothing needs you.")


def _print_part(part: Part) -> None:
    from ..preprocessing.inspection import sizes_of

    counts = part.counts
    name = f"{part.name}: " if part.name else ""
    classes = "1 class" if len(counts) == 1 else f"{len(counts)} classes"
    print(f"{name}{sum(counts.values())} images of {classes}, in {shown(part.folder)}")
    names = list(map(shown, counts))
    width = max(map(len, names), default=0)
    for number, (class_name, count) in enumerate(zip(names, counts.values(), strict=True)):
        print(f"  {number}  {class_name:<{width}}  {count}")
    sizes = sizes_of(part)
    if sizes is not None:
        for side, values in sizes.items():
            print(
                f"  {side}: {values['smallest']} to {values['largest']} pixels, median "
                f"{values['median']}"
            )
