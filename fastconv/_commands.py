"""What the commands share: exit codes, one-line errors, checks of arguments."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ._startup import take_interrupts

MISTAKE, FAILURE, INTERRUPTED = 2, 1, 130


class Mistake(Exception):
    """What the user can mend: ends the command with this line and exit code 2."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, as all errors here are."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISTAKE, f"{self.prog}: error: {message}; see --help\n")


def run(
    command: Callable[[argparse.Namespace], int | None],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
) -> int:
    """Parse `argv`, run `command` and return the exit code; nothing ends in a traceback.

    With FASTCONV_TRACEBACK set in the environment errors are raised as they are.
    """
    arguments = parser.parse_args(argv)
    command = getattr(arguments, "command", command)
    _print_any_name()
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
            return _end(parser, str(interrupt) or "interrupted", INTERRUPTED)
        except BrokenPipeError:
            # The reader is gone (`| head`); keep Python from writing to it once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILURE
        except Mistake as mistake:
            return _end(parser, f"error: {mistake}", MISTAKE)
        except Exception as error:
            if os.environ.get("FASTCONV_TRACEBACK"):
                raise
            text = str(error) or type(error).__name__
            return _end(parser, f"failed: {text}", FAILURE)
        finally:
            warnings.formatwarning = usual


def _print_any_name() -> None:
    """Let standard output escape what it cannot write, as standard error does.

    File names are bytes, of an old Korean encoding perhaps, and terminals may know ASCII alone.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _end(parser: argparse.ArgumentParser, text: str, code: int) -> int:
    print(f"{parser.prog}: {' '.join(text.split())}", file=sys.stderr)
    return code


def _one_line_warning(message: Any, *where: Any, **more: Any) -> str:
    return f"warning: {message}\n"


def image_folder(path: str) -> str:
    """Return the folder that an argument names: of a data set's zip, where it is unpacked."""
    if not os.path.isfile(path):
        return path
    from . import datasets

    try:
        return str(datasets.dog_vs_cat(path))
    except (FileNotFoundError, ValueError) as error:
        raise Mistake(f"{error}") from None


def positive_int(text: str) -> int:
    """Parse an argument as a whole number of at least 1."""
    return _number(text, int, lambda value: value >= 1, "a whole number of at least 1")


def natural_int(text: str) -> int:
    """Parse an argument as a whole number of at least 0."""
    return _number(text, int, lambda value: value >= 0, "a whole number of at least 0")


def seed_int(text: str) -> int:
    """Parse an argument as a seed."""
    wanted = "a whole number from 0 to 4294967295"
    return _number(text, int, lambda value: 0 <= value < 2**32, wanted)


def positive_float(text: str) -> float:
    """Parse an argument as a number above 0."""
    return _number(text, float, lambda value: 0 < value < float("inf"), "a number above 0")


def _number(text: str, kind: type, accepts: Callable[[Any], bool], wanted: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not accepts(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value


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
        from . import set_num_threads

        set_num_threads(arguments.threads)


def load_model(path: str) -> Any:
    """Return the model in a file; a wrong path is a mistake, a bad file a failure."""
    from .models import load_model

    try:
        return load_model(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Mistake(f"{error}; give a file that fastconv.train or model.save wrote") from None
