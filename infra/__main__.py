"""The program that `pulumi up` runs."""

import sys
from pathlib import Path

# Pulumi puts this folder on the path, not the repository that it is a package of.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pulumi import RunError, log

from infra.program import declare
from seawall.errors import SeawallError


def _unheard(*_: object, **__: object) -> None:
    """Several debug lines a resource, each a call that waits for an engine which drops them.

    A fifth of a run without a change.
    """


log.debug = _unheard
try:
    declare(repository=Path(__file__).resolve().parent.parent)
except SeawallError as error:
    raise RunError(str(error)) from error  # Pulumi shows these without a traceback
