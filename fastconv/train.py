"""`python -m fastconv.train`: the command lives in `fastconv.cli.train`."""

import sys

from .cli.train import main

if __name__ == "__main__":
    sys.exit(main())
