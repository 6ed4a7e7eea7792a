"""What the commands share: exit codes, one-line errors, checks of arguments."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from .._core.startup import take_interrupts

USAGE_ERROR, FAILURE, INTERRUPTED = 2, 1, 130
T = TypeVar("T")
# What errors of the library begin with: who raised them.
_PYTHON_NAMES = re.compile(
    r"(^|: )(?:flow_from_(?:directory|paths|dataframe)|dog_vs_cat|synthetic|load_img|load_model|"
    r"architectures|ModelCheckpoint|CSVLogger|EarlyStopping|TensorBoard|"
    r"ImageDataGenerator): "
)

_ERROR_NUMBER = re.compile(r"\[Errno -?\d+\] ")


class UsageError(Exception):
    """What the user can mend: ends the command with this line and exit code 2."""


class Failure(Exception):
    """What went wrong with a right command: ends it with this line and exit code 1."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, as all errors here are."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"{self.prog}: error: {message}; see --help\n")


def run(
    command: Callable[[argparse.Namespace], int | None],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
) -> int:
    """Parse `argv`, run `command` and return the exit code; nothing ends in a traceback.

    With FASTCONV_TRACEBACK set in the environment errors are raised as they are.
    """
    _open_closed_streams()
    arguments = parser.parse_args(argv)
    command = getattr(arguments, "command", command)
    _prepare_output()
    with warnings.catch_warnings():
        usual, warnings.formatwarning = warnings.formatwarning, _one_line_warning
        try:
            take_interrupts()
            code = command(arguments) or 0
            sys.stdout.flush()
            return code
        except KeyboardInterrupt as interrupt:
            if sys.stderr.isatty():
                print(file=sys.stderr)  # ends the line that shows ^C
            code = getattr(interrupt, "exit_code", INTERRUPTED)
            return _end(parser, str(interrupt) or "interrupted", code)
        except BrokenPipeError:
            _drop_output()
            return FAILURE
        except UsageError as error:
            return _end(parser, f"error: {error}", USAGE_ERROR)
        except Failure as failure:
            return _end(parser, f"failed: {failure}", FAILURE)
        except Exception as error:
            if os.environ.get("FASTCONV_TRACEBACK"):
                raise
            text = str(error) or type(error).__name__
            return _end(parser, f"failed: {text}", FAILURE)
        finally:
            warnings.formatwarning = usual


def command_line(
    name: str,
    description: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    command: Callable[[argparse.Namespace], int],
) -> Callable[..., int]:
    """Return the `main` of `python -m fastconv.<name>`, which runs it and returns its exit code."""

    def main(argv: Sequence[str] | None = None) -> int:
        parser = Parser(f"python -m fastconv.{name}", description=description)
        add_arguments(parser)
        return run(command, parser, argv)

    return main


@contextlib.contextmanager
def usage_errors(*kinds: type[Exception], where: str = "") -> Iterator[None]:
    """Turn errors of these kinds in the block into the user's, with `where` in front."""
    try:
        yield
    except kinds as error:
        raise UsageError(f"{where}{error}") from None


def _open_closed_streams() -> None:
    """Give what was closed (`>&-`) a place where nobody looks.

    Otherwise the next file that is opened, a checkpoint perhaps, gets its
    number, and what C code prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115


def _prepare_output() -> None:
    """Let standard output tell every line at once, and escape what it cannot write.

    Lines are told at once in a pipe, too. File names are bytes, of an old Korean
    encoding perhaps, and terminals may know ASCII alone.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)


def _drop_output() -> None:
    """Forget what standard output could not take: its reader is gone, or its disk is full.

    Python would write it once more at its end, and complain.
    """
    with contextlib.suppress(OSError, ValueError):  # where it is no file of the system's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(parser: argparse.ArgumentParser, text: str, code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
    print(f"{parser.prog}: {_one_line(text)}", file=sys.stderr)
    return code


def print_warning(text: str) -> None:
    """Print a warning, one line on standard error."""
    print(f"warning: {_one_line(text)}", file=sys.stderr)


def _one_line_warning(message: Any, *where: Any, **more: Any) -> str:
    return f"warning: {_one_line(str(message))}\n"


def _one_line(text: str) -> str:
    return shown(" ".join(plain(text).split()))


def plain(text: str) -> str:
    """Return an error's text without Python's numbers of errors and names of functions."""
    return _PYTHON_NAMES.sub(r"\1", _ERROR_NUMBER.sub("", text))


def shown(text: str) -> str:
    """Return a text with control characters escaped: names in files may hold a terminal's."""
    return "".join(
        letter.encode("unicode_escape").decode() if _is_control(letter) else letter
        for letter in text
    )


def _is_control(letter: str) -> bool:
    return ord(letter) < 32 or 127 <= ord(letter) < 160


def as_json(values: Any) -> str:
    """Return strict JSON, with null for what is no number and names as they are.

    Names are escaped where standard output cannot write them.
    """
    values = _without_nan(values)
    text = json.dumps(values, ensure_ascii=False, indent=2, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return json.dumps(values, indent=2, allow_nan=False)
    return text


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return [_without_nan(entry) for entry in value] if isinstance(value, list) else value


def image_folder(path: str) -> str:
    """Return the folder that an argument names: of a data set's zip, where it is unpacked."""
    if not os.path.isfile(path):
        return path
    from ..datasets.opening import open_data_set

    with usage_errors(FileNotFoundError, ValueError):
        return open_data_set(path).folder


def positive_int(text: str) -> int:
    """Parse an argument as a whole number of at least 1."""
    return number(text, int, lambda value: value >= 1, "a whole number of at least 1")


def natural_int(text: str) -> int:
    """Parse an argument as a whole number of at least 0."""
    return number(text, int, lambda value: value >= 0, "a whole number of at least 0")


def number(text: str, kind: Callable[[str], T], accepts: Callable[[T], object], wanted: str) -> T:
    """Parse an argument as a number of a kind; the error says what is wanted."""
    try:
        value = kind(text)
    except ValueError:
        pass
    else:
        if accepts(value):
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add --threads, which every command that computes has."""
    parser.add_argument(
        "--threads",
        type=positive_int,
        metavar="N",
        help="threads to compute with (default: the CPUs this process may use)",
    )


def use_threads(arguments: argparse.Namespace) -> None:
    """Obey --threads."""
    if arguments.threads is not None:
        from .._core.runtime import MOST_THREADS, set_num_threads

        if arguments.threads > MOST_THREADS:
            raise UsageError(f"--threads is {arguments.threads}; it must be at most {MOST_THREADS}")
        set_num_threads(arguments.threads)


def add_tta(parser: argparse.ArgumentParser) -> None:
    """Add --tta, which the commands have that use a trained model."""
    parser.add_argument(
        "--tta",
        choices=("flip", "none"),
        help="flip: average the probabilities of each image and its mirror image, in twice the "
        "time (default: as the recipe of the model's training says; else none)",
    )


def tta_of(arguments: argparse.Namespace, model: Any) -> str | None:
    """Return the `tta` of `model.predict`: what was said, else what the model's recipe says."""
    training = model.metadata.get("training")
    recipe = training.get("recipe") if isinstance(training, dict) else None
    noted = recipe.get("tta") if isinstance(recipe, dict) else None
    if (arguments.tta or noted) != "flip":
        return None
    if len(model.output_shape) != 2:
        raise UsageError(
            f"--tta flip averages a row of probabilities for each image; the outputs of "
            f"{arguments.model} have shape {model.output_shape}: give --tta none"
        )
    return "flip"


def load_model(path: str) -> Any:
    """Return the model in a file; a wrong path is a usage error, a bad file a failure."""
    from ..models import load_model

    try:
        return load_model(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"{error}; give a file that fastconv.train or model.save wrote") from None
