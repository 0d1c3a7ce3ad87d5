"""`python3 -m visantctl`."""

import sys

from visantctl.cli import main

if __name__ == "__main__":
    sys.exit(main())
