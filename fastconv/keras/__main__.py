"""`python -m fastconv.keras`: what runs is in `running.py`."""

import sys

from .running import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
