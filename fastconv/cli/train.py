"""`python -m fastconv.train`: train one of the chapter's models on photos of cats and dogs."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .common import Failure, UsageError, add_threads, command_line, shown, usage_errors, use_threads
from .train_recipe import compiled_model, described, run_recipe, usual_patience
from .train_settings import ARCHITECTURES, CHANGEABLE, FIXED, OPTIMIZERS, RULES

if TYPE_CHECKING:
    from ..architectures import Recipe
    from ..preprocessing.parts import DataSet

DESCRIPTION = "Train one of the chapter's four models, or pawnet, on photos of cats and dogs."
_LARGE_IMAGE = 256  # pixels: making the model takes seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments.

    Those with a default of their own are left at None, so that a resumed run
    can tell what was said from what was not.
    """
    add = parser.add_argument
    add("--arch", choices=ARCHITECTURES, help="the model (needed unless --resume is given)")
    add(
        "--data",
        metavar="DIR|ZIP|synthetic",
        help="folder or zip with a folder per class, or with train/ and validation/ (or training, "
        "valid, val) that have one each; without the latter a share of each class is kept for "
        "validation; or 'synthetic' for drawn cats and dogs (default: ./dog-vs-cat, the cache, the "
        "chapter's address; if none is reached, synthetic)",
    )
    _add_number(add, "epochs", "epochs to train (default: 30; pawnet: its recipe's)")
    _add_number(add, "batch-size", "images in a batch (default: 32)")
    _add_number(add, "image-size", "height and width of the images in pixels (default: 100)")
    _add_recipe_arguments(add)
    _add_file_arguments(add)
    add_threads(parser)
    _add_number(add, "seed", "seed of all random numbers (default: random)")
    add("--quiet", action="store_true", help="print warnings and errors only (default: off)")


def _add_number(add: Callable[..., Any], name: str, text: str, metavar: str = "N") -> None:
    add(f"--{name}", type=RULES[name.replace("-", "_")].parse, metavar=metavar, help=text)


def _add_recipe_arguments(add: Callable[..., Any]) -> None:
    add("--optimizer", choices=OPTIMIZERS, help="default: adam; model4: rmsprop; pawnet: sgd")
    _add_number(
        add,
        "learning-rate",
        "default: 0.001; model4: 0.0001; pawnet: its recipe's; with another optimizer than the "
        "model's: its own",
        "X",
    )
    add(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="vary the training images at random (default: for model3 and pawnet)",
    )
    _add_number(
        add,
        "patience",
        "stop after N epochs without a lower validation loss, 0: never (default: 5, the "
        "chapter's is 2; model4 and pawnet: 0)",
    )


def _add_file_arguments(add: Callable[..., Any]) -> None:
    add(
        "--checkpoint",
        metavar="PATTERN",
        help="file for the best models so far, may hold {epoch:02d} and {val_loss:.2f}; the state "
        "of the last epoch is kept beside it, as model1.last.npz, until the run has ended "
        "(default: model1.npz and so on; model4: model4-{epoch:02d}.npz)",
    )
    add(
        "--resume",
        metavar="FILE|auto",
        help="go on behind the last epoch of a run that was stopped or killed, with its settings: "
        "its last state, a best model, their PATTERN; auto: the newest *.last.npz of the working "
        "folder, or with --arch a new run where there is none (default: a new run)",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace another run's files (default: take other names, as model1-2.npz)",
    )
    add("--log-dir", metavar="DIR", help="write logs for TensorBoard (default: none)")
    add("--history", metavar="FILE.csv", help="write a row per epoch (default: none)")
    add("--plot", metavar="FILE.png", help="draw the losses and accuracies (default: none)")


def train(arguments: argparse.Namespace) -> int:
    """Train as the arguments say."""
    from .run_files import check_folders, claimed_outputs
    from .train_settings import check_said

    use_threads(arguments)
    check_said(arguments)
    with contextlib.redirect_stdout(io.StringIO() if arguments.quiet else sys.stdout):
        model, settings, resumed = _saved_model(arguments)
        if model is None:
            model, settings = _new_model(arguments)
        check_folders(settings)
        with claimed_outputs(model, settings, arguments, resumed):
            _train(model, settings, arguments, resumed)
    return 0


main = command_line("train", DESCRIPTION, add_arguments, train)


def _new_model(arguments: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Return a new compiled model, and all settings of the run."""
    if arguments.arch is None:
        raise UsageError(f"give --arch, one of {', '.join(ARCHITECTURES)}, or --resume FILE")
    from .. import architectures, utils

    recipe = architectures.get(arguments.arch).recipe
    settings = {
        "arch": arguments.arch,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "image_size": 100,
        "optimizer": recipe.optimizer,
        "augment": bool(recipe.augmentation),
        "patience": usual_patience(recipe),
        "checkpoint": recipe.checkpoint,
        **_said(arguments, (*FIXED, *CHANGEABLE)),
    }
    if settings["seed"] is not None:
        utils.set_random_seed(settings["seed"])
    size = settings["image_size"]
    if size > _LARGE_IMAGE:
        print(f"Making {arguments.arch} for images of {size} x {size}")
    return compiled_model(settings), settings


def _saved_model(arguments: argparse.Namespace) -> tuple[Any, dict[str, Any], Any]:
    """Return the model to go on with, its run's settings, changed where that is possible, and
    the file; a new run has none of these.

    The file may be anybody's: its settings are checked as a command line is,
    and its paths lead nowhere but into the working folder and its own.
    """
    if arguments.resume is None:
        return None, {}, None
    from . import last_state, run_files, train_settings

    found = last_state.load_state(arguments)
    if found is None:
        print("Nothing to go on with is here: a new run")
        arguments.resume = None
        return None, {}, None
    path, model = found
    where = f"--resume {path}"
    saved = model.metadata.get("training")
    if saved is None:
        raise UsageError(
            f"{where}: the file was not written by fastconv.train; go on in Python, with "
            "model.fit(..., resume_from=...)"
        )
    said = _said(arguments, CHANGEABLE, given_only=True)
    saved = train_settings.check_saved(saved, where, said)
    train_settings.check_model(model, saved, where)
    for name, value in _said(arguments, FIXED, given_only=True).items():
        if value != saved[name]:
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option}: the run in {path} has {saved[name]!r}, not {value!r}; leave "
                f"--{option} out, or start anew without --resume"
            )
    done = model.epochs_done
    if said.get("epochs", math.inf) <= done < saved["epochs"]:
        # Nothing would be trained, and the state that holds these epochs would count as done with.
        raise UsageError(
            f"--epochs {said['epochs']}: the run in {path} has {done} of its {saved['epochs']} "
            f"epochs behind it; give more than {done}, or leave --epochs out"
        )
    settings = {**saved, **said}
    run_files.check_inside(settings, said, path)
    if path != arguments.resume:
        print(f"Going on with {path}, after epoch {done}")
        arguments.resume = path
    return model, settings, run_files.Resumed(path, saved)


def _said(
    arguments: argparse.Namespace, names: Sequence[str], given_only: bool = False
) -> dict[str, Any]:
    """Return the named arguments; those not given only where there is no default to keep."""
    optional = ("learning_rate", "seed", "data", "log_dir", "history")
    return {
        name: value
        for name in names
        if (value := getattr(arguments, name)) is not None or (name in optional and not given_only)
    }


def _train(
    model: Any, settings: dict[str, Any], arguments: argparse.Namespace, resumed: Any
) -> None:
    from ..training.resumption import NothingLeftWarning
    from .interruption import Interrupted, StopOnNaN, StopOnSignal
    from .last_state import LastState
    from .train_report import Report

    warnings.simplefilter("ignore", NothingLeftWarning)  # the report says it in its own words
    recipe = run_recipe(settings)
    checkpoint, callbacks = _callbacks(settings, recipe)
    last = LastState(settings["checkpoint"], checkpoint, resumed and resumed.path)
    report = Report(settings, checkpoint, last)
    with StopOnSignal() as signals:
        try:
            data = _find_data(settings, progress=not arguments.quiet)
            train_data, validation_data = _iterators(
                data, settings, recipe, progress=not arguments.quiet
            )
            model = _match_classes(model, train_data, resumed)
            if not resumed:
                recipe.shorten_averages(model.optimizer, len(train_data) * recipe.epochs)
            generator, averages = train_data.image_data_generator, model.optimizer.use_ema
            course = recipe.course(settings["learning_rate"], averages, generator)
            settings["run"] = settings.get("run") or _run_name(settings)
            model.metadata["training"] = settings
            size = f"{model.count_params():,} parameters"
            print(f"Training {settings['arch']}, {size}, on {shown(str(data.folder))}")
            if arguments.patience is None and not resumed:
                _tell_patience(settings)
            if recipe.schedule is not None:
                print(f"Recipe: {described(recipe, model.optimizer, settings)}")
            before = model.epochs_done
            if before < settings["epochs"]:
                images = train_data.n + validation_data.n
                print(f"Decoding {images:,} images, once for all epochs")
            history = model.fit(
                train_data,
                epochs=settings["epochs"],
                validation_data=validation_data,
                callbacks=[StopOnNaN(), *course, *callbacks, last, signals],
                verbose=0 if arguments.quiet else 1,
                resume_from=resumed and resumed.path,
            )
        except Interrupted as interrupted:
            raise Interrupted(interrupted.number, report.interruption()) from None
        except FloatingPointError as error:
            last.remove()  # to go on from it would come to the same
            raise Failure(f"{error}; {report.advice()}") from None
    given = settings["data"] if os.path.isfile(settings["data"]) else data.folder  # a zip, or not
    if recipe.tta is not None and not recipe.save_best_only:
        result = model.evaluate(validation_data, verbose=0, return_dict=True, tta=recipe.tta)
        report.tell_flips(result)
    report.tell(history, before, given, arguments.plot)
    last.remove()


def _tell_patience(settings: Mapping[str, Any]) -> None:
    """Say where a run waits longer for a better epoch than the chapter does."""
    from ..architectures import get

    printed = get(settings["arch"]).recipe.patience
    if printed and settings["patience"] != printed:
        print(
            f"Patience: {settings['patience']} epochs, where the chapter has {printed} "
            f"(--patience {printed})"
        )


def _run_name(settings: Mapping[str, Any]) -> str:
    """Return 12 digits that tell this run from others; the same seed makes the same files."""
    import hashlib

    from .._core import random

    facts = json.dumps([settings, random.get_state()["seed"]], sort_keys=True)
    return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _find_data(settings: dict[str, Any], progress: bool) -> DataSet:
    """Return the data set to train on, and say which it is."""
    from .. import datasets
    from ..datasets.opening import open_data_set

    wanted = settings["data"]
    if wanted == "":
        raise UsageError("--data is ''; it must be a folder, a zip or 'synthetic'")
    try:
        if wanted is None:
            wanted = settings["data"] = _usual_data()
        if wanted == "synthetic":
            print("Data: the built-in synthetic set, drawn cats and dogs", flush=True)
            drawn = datasets.synthetic() if progress else datasets.synthetic(progress=False)
            return open_data_set(drawn)
        data = open_data_set(wanted, progress)
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError) as error:
        raise UsageError(f"--data {wanted}: {error}" if wanted else f"data: {error}") from None
    settings["data"] = os.path.abspath(wanted)
    print(f"Data: {shown(str(data.folder))}", flush=True)
    return data


def _usual_data() -> str:
    """Return where the chapter's photos are, or "synthetic" where there are none.

    A resumed run takes the same even if photos turn up meanwhile.
    """
    from .. import datasets

    try:
        return str(datasets.dog_vs_cat())
    except FileNotFoundError as error:
        print(f"Data: {error}")
        print("Data: training on the built-in synthetic set instead, drawn cats and dogs")
        return "synthetic"


def _iterators(
    data: DataSet, settings: dict[str, Any], recipe: Recipe, progress: bool
) -> tuple[Any, Any]:
    from ..preprocessing.training_data import training_iterators

    with usage_errors(FileNotFoundError, ValueError, where=f"data in {data.folder}: "):
        train_data, validation_data, said = training_iterators(
            data,
            recipe.rescale,
            recipe.augmentation,
            interpolation=recipe.interpolation,
            early=recipe.early(settings["image_size"]),
            target_size=(settings["image_size"],) * 2,
            batch_size=settings["batch_size"],
            progress=progress,
        )
    if said is not None:
        print(f"Data: {said}", flush=True)
    if data.left_out:
        left_out = shown(", ".join(data.left_out))
        print(f"Data: left out, belonging to no part: {left_out}", flush=True)
    if data.doubt is not None:
        warnings.warn(data.doubt, stacklevel=2)
    return train_data, validation_data


def _match_classes(model: Any, train_data: Any, resumed: Any) -> Any:
    """Return a new model that tells the data's classes apart; a resumed one must know them."""
    from ..architectures import tell_apart
    from ..preprocessing.listing import normalized

    names = list(train_data.class_indices)
    known = [normalized(name) for name in model.class_names or names]
    if resumed and known != names:
        raise UsageError(
            f"--resume {resumed.path}: its run has the classes {', '.join(known)}, the data "
            f"has {', '.join(names)}; name the same data with --data, or start anew"
        )
    return tell_apart(model, len(names)) if len(names) > 2 and not resumed else model


def _callbacks(settings: dict[str, Any], recipe: Recipe) -> tuple[Any, list[Any]]:
    """Return the checkpoint's callback and all callbacks."""
    from ..callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, TensorBoard

    checkpoint = ModelCheckpoint(settings["checkpoint"], save_best_only=recipe.save_best_only)
    callbacks: list[Any] = [checkpoint]
    if settings["patience"]:
        callbacks.append(EarlyStopping(patience=settings["patience"]))
    if settings["history"]:
        callbacks.append(CSVLogger(settings["history"]))
    if settings["log_dir"]:
        with usage_errors(ImportError, where="--log-dir: "):
            callbacks.append(TensorBoard(settings["log_dir"]))
    return checkpoint, callbacks
