"""`python -m fastconv.predict`: the command lives in `fastconv.cli.predict`."""

import sys

from .cli.predict import main

if __name__ == "__main__":
    sys.exit(main())
