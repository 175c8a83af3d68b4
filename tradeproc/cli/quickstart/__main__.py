"""`python -m tradeproc.cli.quickstart`: what `scripts/quickstart` runs."""

import sys

from tradeproc.cli.quickstart.main import main

if __name__ == "__main__":
    sys.exit(main())
