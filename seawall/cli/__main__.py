"""``python -m seawall.cli``: what ``bin/seawall`` becomes once everything is in place."""

import sys

from seawall.cli.app import main

sys.exit(main(sys.argv[1:]))
