"""`python -m cellnet` is the same as the command `cellnet`."""

import sys

from cellnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
