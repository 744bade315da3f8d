"""Requests that list IAM or KMS resources do not fail while other requests add some.

moto serves requests side by side and goes through its dictionaries with a plain loop; one that
grows meanwhile ends the loop with a RuntimeError, which a client sees as an HTTP 500 (met once in
some hundred resources, where many roles are made at once). AWS has no such failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from moto.iam.models import IAMBackend
from moto.kms.models import KmsBackend


def install() -> None:
    """Let every loop over a dictionary of IAM or KMS run over the state at its start."""
    for backend in (IAMBackend, KmsBackend):
        kind: Any = backend
        kind.__init__ = _with_snapshots(kind.__init__)


class SnapshotDict(dict[Any, Any]):
    """A dictionary whose loops run over a copy.

    The copy is made without letting another thread in, since no Python code runs meanwhile.
    """

    def __iter__(self) -> Iterator[Any]:
        return iter(list(super().keys()))

    def keys(self) -> Any:
        """As a list."""
        return list(super().keys())

    def values(self) -> Any:
        """As a list."""
        return list(super().values())

    def items(self) -> Any:
        """As a list."""
        return list(super().items())


def _with_snapshots(make: Callable[..., None]) -> Callable[..., None]:
    @wraps(make)
    def made(self: Any, *arguments: Any, **named: Any) -> None:
        make(self, *arguments, **named)
        for name, value in list(vars(self).items()):
            if type(value) is dict:
                setattr(self, name, SnapshotDict(value))

    return made
