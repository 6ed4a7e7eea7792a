"""`python -m fastconv.evaluate`: how well a saved model does on a folder of images."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .common import (
    Failure,
    UsageError,
    add_threads,
    add_tta,
    as_json,
    command_line,
    image_folder,
    load_model,
    positive_int,
    print_warning,
    tta_of,
    usage_errors,
    use_threads,
)

if TYPE_CHECKING:
    from ..preprocessing.parts import DataSet

DESCRIPTION = "Measure a saved model's loss and metrics on a folder of images."
_NAMES_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", metavar="MODEL.npz", help="a file that training wrote")
    parser.add_argument(
        "directory",
        metavar="DIR",
        help="a folder with one sub-folder of images per class, or one that holds such a "
        "folder named validation (or valid, val; else test), or a zip of either; of a folder that "
        "the model was trained on without such a part, what was kept for validation is taken",
    )
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        default=32,
        metavar="N",
        help="images in a batch (default: %(default)s)",
    )
    add_tta(parser)
    parser.add_argument("--json", action="store_true", help="print JSON (default: off)")
    add_threads(parser)


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate as the arguments say."""
    use_threads(arguments)
    folder = image_folder(arguments.directory)
    if not os.path.isdir(folder):
        raise UsageError(f"there is no folder {folder!r}; give one with a sub-folder per class")
    model = load_model(arguments.model)
    if not model.compiled:
        raise UsageError(f"{arguments.model} holds no loss to measure; save it with model.save()")
    found = _data_set(folder)
    left_out = _check_classes(model, found.evaluation, arguments.model)
    learnt = found.is_shared and _has_learnt(model, found, arguments.directory)
    data = _images(model, found.evaluation, learnt, arguments)
    # On a terminal the bar ends as a line with the result.
    shows_bar = sys.stdout.isatty() and not arguments.json
    tta = tta_of(arguments, model)
    if tta is not None and not arguments.json:
        print("Each image is averaged with its mirror image (--tta none: by itself)")
    result = model.evaluate(data, verbose=1 if shows_bar else 0, return_dict=True, tta=tta)
    if arguments.json:
        more: dict[str, Any] = {"left_out": left_out} if left_out else {}
        more |= {"tta": tta} if tta else {}
        print(as_json({"images": data.n, **result, **more}))
    elif not shows_bar:
        print(" - ".join(f"{name}: {value:.4f}" for name, value in result.items()))
    if unknown := [name for name, value in result.items() if not math.isfinite(value)]:
        raise Failure(
            f"{', '.join(unknown)} of {arguments.model} is no number; its training went wrong"
        )
    return 0


main = command_line("evaluate", DESCRIPTION, add_arguments, evaluate)


def _data_set(directory: str) -> DataSet:
    from ..preprocessing.parts import find_data_set

    with usage_errors(ValueError):
        return find_data_set(directory)


def _has_learnt(model: Any, found: DataSet, given: str) -> bool:
    """Whether fastconv.train trained the model on this data set, or this zip."""
    training = model.metadata.get("training")
    data = training.get("data") if isinstance(training, dict) else None
    if not isinstance(data, str) or "\0" in data:
        return False
    if not os.path.isdir(data):
        return os.path.realpath(data) == os.path.realpath(given)
    try:
        learnt = _data_set(data).folder
    except (UsageError, OSError):
        return False
    return os.path.realpath(learnt) == os.path.realpath(found.folder)


def _check_classes(model: Any, directory: str, path: str) -> list[str]:
    """Refuse a folder without the model's classes; return, with a word, those left out."""
    from ..preprocessing.listing import class_folders, image_names

    folders = class_folders(directory, None, "evaluate")
    found = list(folders)
    known = model.class_names
    units = model.output_shape[-1]
    if known is None:
        expected = 2 if units == 1 else units
        if len(found) != expected:
            raise UsageError(
                f"{directory} has {len(found)} classes ({_listed(found)}); {path} knows "
                f"{expected}: give a folder with as many sub-folders"
            )
        return []
    if missing := _without(known, found):
        raise UsageError(
            f"{directory} has no folder for {_listed(missing)}; {path} knows {_listed(known)}"
        )
    left_out = [
        name
        for name in _without(found, known)
        if any(True for _ in image_names(directory, folders[name]))
    ]
    if left_out:
        print_warning(
            f"the images of {_listed(left_out)} in {directory} are left out; {path} knows "
            f"{_listed(known)}"
        )
    return left_out


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return the names that are not among others; an accent may be spelt as a letter of its own."""
    from ..preprocessing.listing import normalized

    spelt = set(map(normalized, others))
    return [name for name in names if normalized(name) not in spelt]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _images(model: Any, directory: str, learnt: bool, arguments: argparse.Namespace) -> Any:
    """Return the folder's images as the model was given them in training.

    Of a folder that was learnt from, those that training kept for validation.
    """
    from ..preprocessing.image_input import ImageInput
    from ..preprocessing.parts import kept_text, listed_images, validation_share

    # In JSON mode nothing but JSON is printed.
    output = contextlib.redirect_stdout(io.StringIO() if arguments.json else sys.stdout)
    with usage_errors(FileNotFoundError, ValueError, where=f"{directory}: "), output:
        expected = ImageInput.of(model)
        options: dict[str, Any] = dict(expected.options)
        if learnt:
            share = validation_share(listed_images(directory))
            expected.generator.validation_split = share
            options["subset"] = "validation"
            print(f"Data: the model was trained on it, but for {kept_text(share)}")
        return expected.generator.flow_from_directory(
            directory,
            target_size=expected.size,
            color_mode=expected.color_mode,
            interpolation=expected.interpolation,
            classes=model.class_names,
            class_mode=_class_mode(model),
            batch_size=arguments.batch_size,
            shuffle=False,
            **options,
        )


def _class_mode(model: Any) -> str:
    if model.output_shape[-1] == 1:
        return "binary"
    return "sparse" if "sparse" in type(model.loss).__name__.lower() else "categorical"
