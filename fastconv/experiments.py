"""`python -m fastconv.experiments`: the command lives in `fastconv.cli.experiments`."""

import sys

from .cli.experiments import main

if __name__ == "__main__":
    sys.exit(main())
