"""`python -m fastconv.check`: the command lives in `fastconv.cli.check`."""

import sys

from .cli.check import main

if __name__ == "__main__":
    sys.exit(main())
