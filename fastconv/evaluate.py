"""`python -m fastconv.evaluate`: the command lives in `fastconv.cli.evaluate`."""

import sys

from .cli.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
