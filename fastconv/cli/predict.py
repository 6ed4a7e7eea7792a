"""`python -m fastconv.predict`: what a saved model sees in images."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .common import (
    FAILURE,
    Failure,
    UsageError,
    add_threads,
    add_tta,
    as_json,
    command_line,
    load_model,
    plain,
    shown,
    tta_of,
    usage_errors,
    use_threads,
)

DESCRIPTION = "Tell the class of each image by a saved model."
_BATCH_SIZE = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", metavar="MODEL.npz", help="a file that training wrote")
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="image files, or folders of them"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON list, one object per image (default: off)"
    )
    add_tta(parser)
    add_threads(parser)


def predict(arguments: argparse.Namespace) -> int:
    """Predict as the arguments say; images that cannot be read are named on stderr."""
    from ..preprocessing.image_input import ImageInput

    use_threads(arguments)
    images = _image_files(arguments.images)
    model = load_model(arguments.model)
    tta = tta_of(arguments, model)
    with usage_errors(ValueError, where=f"{arguments.model}: "):
        expected = ImageInput.of(model)
    results = []
    for paths, batch in _batches(images, expected):
        outputs = model.predict(batch, batch_size=_BATCH_SIZE, verbose=0, tta=tta)
        for path, output in zip(paths, outputs, strict=True):
            results.append({"image": path, **describe(output, model.class_names)})
            if not arguments.json:
                print(shown(_line(results[-1])))
    if arguments.json:
        print(as_json(results))
    if unknown := sum(result["class"] is None for result in results):
        raise Failure(
            f"{arguments.model} gives no number for {unknown} of {len(results)} images; its "
            "training went wrong"
        )
    return 0 if len(results) == len(images) else FAILURE


main = command_line("predict", DESCRIPTION, add_arguments, predict)


def _image_files(paths: Sequence[str]) -> list[str]:
    """Return the files that are named, and in place of a folder the images in it."""
    from ..preprocessing.listing import image_names

    found = []
    for path in paths:
        if os.path.isdir(path):
            inside = [os.path.join(path, name) for name in image_names(path, "")]
            if not inside:
                raise UsageError(f"the folder {path!r} holds no images")
            found += inside
        elif os.path.isfile(path):
            found.append(path)
        else:
            raise UsageError(f"there is no image file {path!r}")
    return found


def _batches(paths: Sequence[str], expected: Any) -> Iterator[tuple[list[str], np.ndarray]]:
    for start in range(0, len(paths), _BATCH_SIZE):
        names, images = [], []
        for path in paths[start : start + _BATCH_SIZE]:
            try:
                images.append(expected.read(path))
                names.append(path)
            except OSError as error:
                print(shown(plain(str(error))), file=sys.stderr)  # it names the file
        if images:
            yield names, np.stack(images)


def describe(output: np.ndarray, class_names: Sequence[str] | None) -> dict[str, Any]:
    """Return the class, its probability and those of all classes from one row of output.

    One unit is the probability of the second class (above 0.5: that class),
    several are one probability each. With an output that is no number there is
    no class, and no probability.
    """
    values = [float(value) for value in np.ravel(output)]
    if len(values) == 1:
        values = [1 - values[0], values[0]]
    # The first class has what is left: at 0.5 it is the first one's.
    chosen = int(np.argmax(values))
    if class_names is not None and len(class_names) == len(values):
        names = list(class_names)
    else:
        names = [f"class {index}" for index in range(len(values))]
    if not all(map(math.isfinite, values)):
        nothing: dict[str, Any] = dict.fromkeys(names)
        return {"class": None, "probability": None, "probabilities": nothing}
    return {
        "class": names[chosen],
        "probability": values[chosen],
        "probabilities": dict(zip(names, values, strict=True)),
    }


def _line(result: dict[str, Any]) -> str:
    if result["class"] is None:
        return f"{result['image']}: no class, the model's output is no number"
    return f"{result['image']}: {result['class']} ({result['probability']:.1%})"
