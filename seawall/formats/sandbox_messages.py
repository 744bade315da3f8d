"""The messages of `python -m sandbox` to the program that started it: one JSON object per line.

The first is ``data_dir``, then any number of ``line`` and ``event``, then ``ready`` or ``error``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from seawall import errors
from seawall.errors import ComponentDiedError, SeawallError, ServiceError


class SandboxMessage(BaseModel):
    """One line.

    ``data_dir``: ``text`` is where the data and logs are. ``line``: ``text`` is progress for
    people. ``event``: ``text`` is the name of an event for the timeline. ``ready``: ``text`` is the
    path of the deployment file. ``error``: ``text`` says what went wrong, ``remedy`` what to do,
    ``error_type`` which class of `seawall.errors` it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["data_dir", "line", "event", "ready", "error"]
    text: str
    remedy: str = ""
    error_type: str = ""
    component: str = ""


def error_message(error: SeawallError) -> SandboxMessage:
    """The message that carries ``error`` to another process."""
    if isinstance(error, ComponentDiedError):
        text, component = error.log_tail, error.component
    else:
        text, component = str(error.args[0]), ""
    return SandboxMessage(
        kind="error",
        text=text,
        remedy=error.remedy,
        error_type=type(error).__name__,
        component=component,
    )


def error_of(message: SandboxMessage) -> SeawallError:
    """The error that ``message`` carries; its exit code is that of the original."""
    if message.error_type == ComponentDiedError.__name__:
        return ComponentDiedError(message.component, log_tail=message.text)
    kind = getattr(errors, message.error_type, None)
    if not (isinstance(kind, type) and issubclass(kind, SeawallError)):
        kind = ServiceError
    # Some errors are made of parts that the text already lists: then the nearest plain class.
    plain = next(
        each for each in kind.__mro__ if each is SeawallError or "__init__" not in vars(each)
    )
    error: SeawallError = plain(message.text, remedy=message.remedy)
    return error
