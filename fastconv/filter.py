"""`python -m fastconv.filter`: the command lives in `fastconv.cli.filter`."""

import sys

from .cli.filter import main

if __name__ == "__main__":
    sys.exit(main())
