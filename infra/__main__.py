"""The program that `pulumi up` runs."""

import gc
import sys
from pathlib import Path

# Pulumi puts this folder on the path, not the repository, of which it is a package.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pulumi import RunError, log

from infra.program import declare
from seawall.errors import SeawallError


def _dropped(*_: object, **__: object) -> None:
    """Log nothing.

    The SDK writes several debug lines per resource, and each is a call to the engine that waits for
    an answer, although the engine drops them: a fifth of the time of a run without a change.
    """


log.debug = _dropped
# The SDK's objects live until the end; looking for garbage among them took a third of the time.
gc.disable()
try:
    declare(repository=Path(__file__).resolve().parent.parent)
except SeawallError as error:
    raise RunError(str(error)) from error  # Pulumi shows these without a traceback
