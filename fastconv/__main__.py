"""`python -m fastconv`: the same as the console script `fastconv`."""

import sys

from .cli.main import main

sys.exit(main())
