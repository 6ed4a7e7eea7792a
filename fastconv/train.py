"""`python -m fastconv.train`: train one of the chapter's models on photos of cats and dogs."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._commands import (
    Mistake,
    Parser,
    add_threads,
    load_model,
    natural_int,
    positive_float,
    positive_int,
    run,
    seed_int,
    use_threads,
)

if TYPE_CHECKING:
    from .preprocessing.parts import DataSet

DESCRIPTION = "Train one of the chapter's four models on photos of cats and dogs."
_ARCHITECTURES = ("model1", "model2", "model3", "model4")
_OPTIMIZERS = ("sgd", "adam", "rmsprop")
# What makes a run the run it is: --resume takes it from the file.
_FIXED = ("arch", "batch_size", "image_size", "optimizer", "learning_rate", "augment", "seed")
_CHANGEABLE = ("data", "epochs", "patience", "checkpoint", "log_dir", "history")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments.

    Those with a default of their own are left at None, so that a resumed run
    can tell what was said from what was not.
    """
    add = parser.add_argument
    add("--arch", choices=_ARCHITECTURES, help="the model (needed unless --resume is given)")
    add(
        "--data",
        metavar="DIR|ZIP|synthetic",
        help="folder or zip with a folder per class, or with train/ and validation/ (or training, "
        "valid, val) that have one each; without the latter a share of each class is kept for "
        "validation; or 'synthetic' for drawn cats and dogs (default: ./dog-vs-cat, the cache, the "
        "chapter's address; if none is reached, synthetic)",
    )
    add("--epochs", type=positive_int, metavar="N", help="epochs to train (default: 30)")
    add("--batch-size", type=positive_int, metavar="N", help="images in a batch (default: 32)")
    add(
        "--image-size",
        type=positive_int,
        metavar="N",
        help="height and width of the images in pixels (default: 100)",
    )
    add("--optimizer", choices=_OPTIMIZERS, help="default: adam; model4: rmsprop")
    add(
        "--learning-rate",
        type=positive_float,
        metavar="X",
        help="default: 0.001; model4: 0.0001; with another optimizer than the model's: its own",
    )
    add(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="vary the training images at random (default: only for model3)",
    )
    add(
        "--patience",
        type=natural_int,
        metavar="N",
        help="stop after N epochs without a lower validation loss, 0: never (default: 2; "
        "model4: 0)",
    )
    add(
        "--checkpoint",
        metavar="PATTERN",
        help="file for the best models so far, may hold {epoch:02d} and {val_loss:.2f} (default: "
        "model1.npz and so on; model4: model4-{epoch:02d}.npz)",
    )
    add("--resume", metavar="FILE", help="go on from a checkpoint, with the settings in it")
    add("--log-dir", metavar="DIR", help="write logs for TensorBoard (default: none)")
    add("--history", metavar="FILE.csv", help="write a row per epoch (default: none)")
    add("--plot", metavar="FILE.png", help="draw the losses and accuracies (default: none)")
    add_threads(parser)
    add("--seed", type=seed_int, metavar="N", help="seed of all random numbers (default: random)")
    add("--quiet", action="store_true", help="print errors only (default: off)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m fastconv.train", description=DESCRIPTION)
    add_arguments(parser)
    return run(train, parser, argv)


def train(arguments: argparse.Namespace) -> int:
    """Train as the arguments say."""
    use_threads(arguments)
    _check_outputs(arguments)
    if arguments.resume is None:
        model, settings = _new_model(arguments)
    else:
        model, settings = _saved_model(arguments)
    with contextlib.redirect_stdout(io.StringIO() if arguments.quiet else sys.stdout):
        _train(model, settings, arguments)
    return 0


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse, before any work, what could not be written after hours of it."""
    for option, ending in (("checkpoint", ".npz"), ("history", ".csv"), ("plot", None)):
        path = getattr(arguments, option)
        if path is None:
            continue
        if ending and not path.endswith(ending):
            raise Mistake(f"--{option} {path!r} must end in {ending}")
        if os.path.isdir(path):
            raise Mistake(f"--{option} {path!r} is a folder; give a file's name")
    if arguments.plot is not None:
        from .plotting import check_plot

        try:
            check_plot(arguments.plot)
        except (ImportError, ValueError) as error:
            raise Mistake(f"--plot: {error}") from None


def _check_folders(settings: Mapping[str, Any]) -> None:
    """Refuse, before any work, names and folders that nothing could be written to."""
    known = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 0.5)
    try:
        checkpoint = settings["checkpoint"].format_map({"epoch": 1, **known})
    except (KeyError, IndexError, ValueError) as error:
        raise Mistake(
            f"--checkpoint {settings['checkpoint']!r} cannot be filled in ({error}); it may hold "
            f"{{epoch}}, {', '.join(f'{{{name}}}' for name in known)}"
        ) from None
    for option, path, is_file in (
        ("checkpoint", checkpoint, True),
        ("history", settings["history"], True),
        ("log-dir", settings["log_dir"], False),
    ):
        if not path:
            continue
        folder = os.path.dirname(os.path.abspath(path)) if is_file else os.path.abspath(path)
        while not os.path.lexists(folder):  # missing folders are made
            folder = os.path.dirname(folder)
        if not os.path.isdir(folder):
            raise Mistake(f"--{option} {path!r}: {folder!r} is no folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Mistake(f"--{option} {path!r}: no right to write in {folder!r}")


def _new_model(arguments: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Return a new compiled model, and all settings of the run."""
    if arguments.arch is None:
        raise Mistake(f"give --arch, one of {', '.join(_ARCHITECTURES)}, or --resume FILE")
    from . import architectures, optimizers, utils

    architecture = architectures.get(arguments.arch)
    recipe = architecture.recipe
    settings = {
        "arch": arguments.arch,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "image_size": 100,
        "optimizer": recipe.optimizer,
        "augment": bool(recipe.augmentation),
        "patience": recipe.patience or 0,
        "checkpoint": recipe.checkpoint,
        **_said(arguments, (*_FIXED, *_CHANGEABLE)),
    }
    if settings["seed"] is not None:
        utils.set_random_seed(settings["seed"])
    optimizer = optimizers.get(settings["optimizer"])
    if settings["learning_rate"] is None and settings["optimizer"] == recipe.optimizer:
        settings["learning_rate"] = recipe.learning_rate
    if settings["learning_rate"] is not None:
        optimizer.learning_rate = settings["learning_rate"]
    size = settings["image_size"]
    try:
        model = architecture((size, size, 3))
    except ValueError as error:
        raise Mistake(f"--image-size {size} is too small for {arguments.arch}: {error}") from None
    model.compile(optimizer=optimizer, loss=recipe.loss, metrics=list(recipe.metrics))
    return model, settings


def _saved_model(arguments: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Return the model to go on with, and its run's settings, changed where that is possible."""
    model = load_model(arguments.resume)
    saved = model.metadata.get("training")
    if saved is None:
        raise Mistake(
            f"--resume {arguments.resume}: the file was not written by fastconv.train; go on in "
            "Python, with model.fit(..., resume_from=...)"
        )
    for name, value in _said(arguments, _FIXED, given_only=True).items():
        if value != saved.get(name):
            option = name.replace("_", "-")
            raise Mistake(
                f"--{option}: the run in {arguments.resume} has {saved.get(name)!r}, not "
                f"{value!r}; leave --{option} out, or start anew without --resume"
            )
    return model, {**saved, **_said(arguments, _CHANGEABLE, given_only=True)}


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


def _train(model: Any, settings: dict[str, Any], arguments: argparse.Namespace) -> None:
    from .resumption import NothingLeftWarning

    _check_folders(settings)
    data = _find_data(settings, progress=not arguments.quiet)
    train_data, validation_data = _iterators(data, settings, progress=not arguments.quiet)
    _match_classes(model, train_data, arguments)
    checkpoint, callbacks = _callbacks(settings)
    model.metadata["training"] = settings
    print(f"Training {settings['arch']}, {model.count_params():,} parameters, on {data.folder}")
    before = model.epochs_done
    warnings.simplefilter("ignore", NothingLeftWarning)  # _report says it in the command's words
    try:
        history = model.fit(
            train_data,
            epochs=settings["epochs"],
            validation_data=validation_data,
            callbacks=callbacks,
            verbose=0 if arguments.quiet else 1,
            resume_from=arguments.resume,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interruption(checkpoint)) from None
    _report(history, before, checkpoint, settings, arguments)


def _find_data(settings: dict[str, Any], progress: bool) -> DataSet:
    """Return the data set to train on, and say which it is."""
    from . import datasets
    from .datasets.opening import open_data_set

    wanted = settings["data"]
    try:
        if wanted is None:
            wanted = settings["data"] = _usual_data()
        if wanted == "synthetic":
            print("Data: the built-in synthetic set, drawn cats and dogs", flush=True)
            drawn = datasets.synthetic() if progress else datasets.synthetic(progress=False)
            return open_data_set(drawn)
        data = open_data_set(wanted, progress)
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError) as error:
        raise Mistake(f"--data {wanted}: {error}" if wanted else f"data: {error}") from None
    settings["data"] = os.path.abspath(wanted)
    print(f"Data: {data.folder}", flush=True)
    return data


def _usual_data() -> str:
    """Return where the chapter's photos are, or "synthetic" where there are none.

    A resumed run takes the same even if photos turn up meanwhile.
    """
    from . import datasets

    try:
        return str(datasets.dog_vs_cat())
    except FileNotFoundError as error:
        print(f"Data: {error}")
        print("Data: training on the built-in synthetic set instead, drawn cats and dogs")
        return "synthetic"


def _iterators(data: DataSet, settings: dict[str, Any], progress: bool) -> tuple[Any, Any]:
    from .architectures import AUGMENTATION, get
    from .preprocessing.training_data import training_iterators

    try:
        train_data, validation_data, said = training_iterators(
            data,
            get(settings["arch"]).recipe.rescale,
            AUGMENTATION if settings["augment"] else {},
            target_size=(settings["image_size"],) * 2,
            batch_size=settings["batch_size"],
            progress=progress,
        )
    except (FileNotFoundError, ValueError) as error:
        raise Mistake(f"data in {data.folder}: {error}") from None
    if said is not None:
        print(f"Data: {said}", flush=True)
    if data.left_out:
        print(f"Data: left out, belonging to no part: {', '.join(data.left_out)}", flush=True)
    if data.doubt is not None:
        warnings.warn(data.doubt, stacklevel=2)
    return train_data, validation_data


def _match_classes(model: Any, train_data: Any, arguments: argparse.Namespace) -> None:
    """Let a new model tell the data's classes apart; a resumed one must know them already."""
    from .architectures import tell_apart
    from .preprocessing.listing import normalized

    names = list(train_data.class_indices)
    known = [normalized(name) for name in model.class_names or names]
    if arguments.resume is not None and known != names:
        raise Mistake(
            f"--resume {arguments.resume}: its run has the classes {', '.join(known)}, the data "
            f"has {', '.join(names)}; name the same data with --data, or start anew"
        )
    if len(names) > 2 and arguments.resume is None:
        tell_apart(model, len(names))


def _callbacks(settings: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return the checkpoint's callback and all callbacks."""
    from .callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, TensorBoard

    checkpoint = ModelCheckpoint(settings["checkpoint"], save_best_only=True)
    callbacks: list[Any] = [checkpoint]
    if settings["patience"]:
        callbacks.append(EarlyStopping(patience=settings["patience"]))
    if settings["history"]:
        callbacks.append(CSVLogger(settings["history"]))
    if settings["log_dir"]:
        try:
            callbacks.append(TensorBoard(settings["log_dir"]))
        except ImportError as error:
            raise Mistake(f"--log-dir: {error}") from None
    return checkpoint, callbacks


def _interruption(checkpoint: Any) -> str:
    if not checkpoint.saved_paths:
        return "interrupted; no checkpoint was written yet"
    last = checkpoint.saved_paths[-1]
    return f"interrupted; the last checkpoint is {last}, go on with --resume {last}"


def _report(
    history: Any,
    before: int,
    checkpoint: Any,
    settings: dict[str, Any],
    arguments: argparse.Namespace,
) -> None:
    """Say how well it went, `before` epochs being another session's, and what was written."""
    epochs = len(history.epoch)
    if epochs == before:
        print(f"Nothing to do: {arguments.resume} is of a run that ended with epoch {before}")
    elif epochs < settings["epochs"]:
        print(f"Stopped: val_loss has not been lower for {settings['patience']} epochs")
    print(_best_epoch(history.history))
    written = [*checkpoint.saved_paths, *_said_paths(settings)]
    if arguments.plot is not None:
        from .plotting import plot_history

        plot_history(history.history, arguments.plot)
        written.append(arguments.plot)
    print(f"Wrote {', '.join(written)}")


def _best_epoch(history: Mapping[str, Sequence[float]]) -> str:
    """Tell of the epoch with the lowest validation loss, and of a higher accuracy elsewhere."""
    losses, accuracies = history["val_loss"], history["val_accuracy"]
    # A loss that is no number comes last, wherever it stands.
    best = min(range(len(losses)), key=lambda epoch: (math.isnan(losses[epoch]), losses[epoch]))
    text = (
        f"Best epoch: {best + 1} of {len(losses)}, val_loss {losses[best]:.4f}, "
        f"val_accuracy {accuracies[best]:.4f}"
    )
    highest = max(accuracies)
    if highest > accuracies[best]:
        text += f" (highest {highest:.4f} in epoch {accuracies.index(highest) + 1})"
    return text


def _said_paths(settings: dict[str, Any]) -> list[str]:
    return [settings[name] for name in ("history", "log_dir") if settings[name]]


if __name__ == "__main__":
    sys.exit(main())
