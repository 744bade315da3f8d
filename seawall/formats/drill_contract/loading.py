"""Finds the adapter that a deployment file names in ``venue.speaks``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from seawall.errors import SeawallError, ServiceError, UsageError
from seawall.formats.drill_contract.adapter import (
    ContractAdapter,
    Credentials,
    HttpRequest,
    VenueAdapter,
)
from seawall.formats.drill_contract.messages import Message, Refusal
from seawall.formats.drill_contract.schema import OPERATIONS
from seawall.policy import Policy

CONTRACT = "contract"
MAPPING_SUFFIXES = (".yaml", ".yml", ".json")
_MAPPING_MODULE = "adapters.mapping"
"""By name: the kit imports no adapter, it loads the one that is asked for."""
_MEMBERS = ("operations", "needs_session", "request", "answer")
_ANSWERS = {operation.name: operation.answer for operation in OPERATIONS}


def load_adapter(speaks: str, *, policy: Policy | Path | None = None) -> VenueAdapter:
    """The adapter for ``speaks``.

    Args:
        speaks: ``contract``, the path of a mapping file, or a class as ``module:Class`` or
            ``path/to/file.py:Class``.
        policy: The policy in force, or its file: a mapping file with decimal amounts needs the
            decimals of its assets. The file is read only then, because that takes a while.

    Raises :class:`UsageError` for a file or class that is not there or not whole, and
    :class:`PolicyError` for a policy that is wrong.
    """
    if speaks == CONTRACT:
        return ContractAdapter()
    if speaks.endswith(MAPPING_SUFFIXES):
        mapping = importlib.import_module(_MAPPING_MODULE)
        loaded: VenueAdapter = mapping.load(Path(speaks), _decimals(policy))
        return loaded
    module, colon, name = speaks.rpartition(":")
    if not (colon and module and name):
        raise UsageError(
            f"venue.speaks is {speaks!r}, which is nothing that the kit can read",
            remedy=f"say `{CONTRACT}`, the path of a mapping file that ends in .yaml, .yml or"
            " .json, or `module:Class` (docs/speaking.md)",
        )
    return _OwnAdapter(speaks, _made(speaks, _imported(speaks, module), name))


def _decimals(policy: Policy | Path | None) -> dict[str, int] | None:
    if isinstance(policy, Path):
        # The reader of policies reads with this package's neighbours.
        from seawall.policy_file import load_policy  # noqa: PLC0415

        policy = load_policy(policy)
    if policy is None:
        return None
    return {name: asset.decimals for name, asset in policy.assets.items()}


def _imported(speaks: str, module: str) -> ModuleType:
    path = Path(module)
    if module.endswith(".py") and not path.is_file():
        raise UsageError(f"venue.speaks is {speaks!r}, and there is no file {path}")
    try:
        if not module.endswith(".py"):
            return importlib.import_module(module)
        # A name of its own, so that a file called like a module of the kit hides none.
        name = f"seawall_adapter_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded  # dataclasses look their module up there
        spec.loader.exec_module(loaded)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"the adapter {speaks} cannot be loaded: {type(error).__name__}: {error}",
            remedy="name a module below the repository, or a file as path/to/file.py:Class",
        ) from error
    return loaded


def _made(speaks: str, module: ModuleType, name: str) -> Any:
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        raise UsageError(
            f"the adapter {speaks} cannot be loaded: {module.__name__} has no class {name}",
            remedy="check the name after the colon",
        )
    try:
        made = kind()
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"the adapter {speaks} cannot be made: {type(error).__name__}: {error}",
            remedy="a class is made without arguments",
        ) from error
    missing = [member for member in _MEMBERS if not hasattr(made, member)]
    if missing:
        raise UsageError(
            f"the adapter {speaks} has no {', '.join(missing)}",
            remedy="docs/speaking.md shows a whole class",
        )
    try:
        unknown = sorted(set(made.operations) - set(_ANSWERS))
    except TypeError:
        unknown = [repr(made.operations)]
    if unknown:
        raise UsageError(
            f"the adapter {speaks} names operations that are none: {', '.join(unknown)}",
            remedy=f"the operations are {', '.join(_ANSWERS)}",
        )
    return made


class _OwnAdapter:
    """A class of the user's own, behind checks: what it gets wrong is named and never passed on."""

    def __init__(self, speaks: str, own: Any) -> None:
        self._speaks, self._own = speaks, own
        self.operations = frozenset(own.operations)
        self.needs_session = bool(own.needs_session)
        self.transfers = bool(getattr(own, "transfers", False))

    def request(
        self,
        operation: str,
        values: Mapping[str, str],
        *,
        customer: Credentials | None,
        session: str | None = None,
        venue_id: str | None = None,
    ) -> HttpRequest:
        """As the class says. Raises :class:`UsageError` for anything but a request."""
        try:
            made = self._own.request(
                operation, values, customer=customer, session=session, venue_id=venue_id
            )
        except SeawallError:
            raise
        except (Exception, SystemExit) as error:
            raise UsageError(
                f"the adapter {self._speaks} broke on a request for {operation}:"
                f" {type(error).__name__}: {error}"
            ) from error
        if not isinstance(made, HttpRequest) or not made.path.startswith("/"):
            raise UsageError(
                f"the adapter {self._speaks} made no HttpRequest with a path for {operation}"
            )
        return made

    def answer(
        self, operation: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> Message:
        """As the class says. Raises :class:`ServiceError` for anything but a message."""
        try:
            made = self._own.answer(operation, status, headers, body)
        except SeawallError:
            raise
        except (Exception, SystemExit) as error:
            raise ServiceError(
                f"the adapter {self._speaks} broke on the answer {status} to {operation}:"
                f" {type(error).__name__}: {error}"
            ) from error
        if not isinstance(made, _ANSWERS[operation] | Refusal):
            raise ServiceError(
                f"the adapter {self._speaks} made a {type(made).__name__} of the answer {status}"
                f" to {operation}, not a {_ANSWERS[operation].__name__}"
            )
        message: Message = made
        return message
