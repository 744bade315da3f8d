"""Faults by name. A fault is one file here, or in a folder that ``SEAWALL_FAULTS`` names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from chaos.faults.base import Fault, Observation, Parameters, RestoredFault
from seawall.conventions.environment import FAULTS_VARIABLE
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment
from seawall.formats.documents import model_problems

__all__ = ["Fault", "Observation", "Parameters", "RestoredFault", "known_faults", "make_fault"]


def known_faults() -> Mapping[str, type[Fault]]:
    """Every fault by its name, the kit's own first.

    Raises:
        UsageError: A file holds no fault, or one that is called differently or exists already.
    """
    return _known(os.environ.get(FAULTS_VARIABLE, ""))


@cache
def _known(folders: str) -> Mapping[str, type[Fault]]:
    found: dict[str, type[Fault]] = {}
    for name, module in _modules(folders):
        fault = _fault_in(name, module)
        if fault.name in found:
            raise UsageError(
                f"there are two faults called {fault.name}", remedy=f"rename {module.__file__}"
            )
        found[fault.name] = fault
    return found


def _modules(folders: str) -> Iterator[tuple[str, ModuleType]]:
    """The name of every file that holds a fault, and the module in it."""
    for module in pkgutil.iter_modules(__path__):
        if module.name != "base":
            yield module.name, importlib.import_module(f"{__name__}.{module.name}")
    for folder in filter(None, folders.split(os.pathsep)):
        if not Path(folder).is_dir():
            raise UsageError(f"{FAULTS_VARIABLE} names {folder}, which is no folder")
        for path in sorted(Path(folder).glob("*.py")):
            yield path.stem, _load(path)


def _load(path: Path) -> ModuleType:
    name = f"{__name__}.of_user.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be read as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    # whatever a file of the user's own raises is to be named with that file
    except Exception as error:
        raise UsageError(f"the fault {path} breaks: {type(error).__name__}: {error}") from error
    return module


def _fault_in(name: str, module: ModuleType) -> type[Fault]:
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Fault)
        and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise UsageError(
            f"{module.__file__} holds {len(own)} faults",
            remedy="a file holds exactly one subclass of chaos.faults.Fault",
        )
    wanted = name.replace("_", "-")
    if getattr(own[0], "name", None) != wanted:
        raise UsageError(
            f"the fault in {module.__file__} is not called like its file",
            remedy=f"write name = {wanted!r}",
        )
    return own[0]


def make_fault(
    name: str,
    *,
    target: str,
    parameters: Mapping[str, Any],
    deployment: Deployment,
    blast_radius: Sequence[str],
    length_ms: int | None = None,
) -> Fault:
    """The fault called ``name``, aimed at ``target`` of ``deployment``, to last ``length_ms``.

    Raises:
        UsageError: There is no such fault, it does not fit the deployment, its parameters are
            wrong, or it would reach beyond ``blast_radius``.
    """
    known = known_faults()
    if name not in known:
        raise UsageError(
            f"there is no fault {name}", remedy=f"name one of {', '.join(sorted(known))}"
        )
    try:
        fault = known[name](deployment, target=target, parameters=parameters)
    except ValidationError as error:
        first = model_problems(error)[0]
        raise UsageError(
            f"the fault {name} cannot have the parameter {first.path}: found {first.found}",
            remedy=first.remedy,
        ) from error
    fault.length_ms = length_ms
    beyond = [reached for reached in fault.reaches if reached not in blast_radius]
    if beyond:
        allowed = ", ".join(blast_radius) or "nothing"
        raise UsageError(
            f"the fault {name} reaches {', '.join(beyond)}, which is outside the drill's blast"
            " radius",
            remedy=f"it may touch {allowed}; change the policy, not the fault",
        )
    return fault
