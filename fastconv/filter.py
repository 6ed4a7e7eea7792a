"""`python -m fastconv.filter`: the command lives in `fastconv.cli.filter`."""

import sys

from .cli.filter import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
