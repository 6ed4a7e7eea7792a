"""`python -m fastconv.train`: the command lives in `fastconv.cli.train`."""

import sys

from .cli.train import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
