"""The console script `fastconv`: every command as a subcommand."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .._core.runtime import show_config
from .._version import __version__
from . import check, evaluate, experiments, filter, predict, train
from .common import Parser, run

_COMMANDS = {
    "train": (train, train.train),
    "evaluate": (evaluate, evaluate.evaluate),
    "predict": (predict, predict.predict),
    "filter": (filter, filter.filter_image),
    "check": (check, check.check),
    "experiments": (experiments, experiments.experiments),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    parser = Parser("fastconv", description="Small convolutional networks on the CPU.")
    parser.add_argument("--version", action="version", version=f"fastconv {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (module, command) in _COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=module.DESCRIPTION, description=module.DESCRIPTION
        )
        module.add_arguments(subparser)
        subparser.set_defaults(command=command)
    about = "Show version, compiler, SIMD level and threads."
    subparser = subparsers.add_parser("config", help=about, description=about)
    subparser.set_defaults(command=lambda arguments: show_config())
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        parser.print_help()
        return 2
    return run(lambda parsed: None, parser, arguments)
