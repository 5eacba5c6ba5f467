"""`python -m minivision` is the `minivision` command."""

import sys

from minivision.cli import main

sys.exit(main())
