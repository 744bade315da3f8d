"""The program that `pulumi up` runs."""

import sys
from pathlib import Path

# Pulumi puts this folder on the path, not the repository that it is a package of.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.program import declare

declare(repository=Path(__file__).resolve().parent.parent)
