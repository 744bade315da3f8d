"""The sandbox: every part that a drill needs, real, on one machine; one supervisor owns every process.

Read in this order: ``targets`` (what others are told), ``parts`` (what is started), ``supervisor`` (who starts, watches and
ends it), ``reaper`` (who ends it when the supervisor cannot), ``kept`` (a sandbox that outlives its command).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seawall.sandbox.components import Component, ComponentStatus
    from seawall.sandbox.environment import shell_environment
    from seawall.sandbox.kept import down, kept_data_dir, new_data_dir
    from seawall.sandbox.readiness import http_answers, log_line
    from seawall.sandbox.supervisor import Sandbox
    from seawall.sandbox.targets import Targets

_HOMES = {
    "Component": "components",
    "ComponentStatus": "components",
    "Sandbox": "supervisor",
    "Targets": "targets",
    "down": "kept",
    "http_answers": "readiness",
    "kept_data_dir": "kept",
    "log_line": "readiness",
    "new_data_dir": "kept",
    "shell_environment": "environment",
}

__all__ = [
    "Component",
    "ComponentStatus",
    "Sandbox",
    "Targets",
    "down",
    "http_answers",
    "kept_data_dir",
    "log_line",
    "new_data_dir",
    "shell_environment",
]


def __getattr__(name: str) -> Any:
    # Each part is a process `python -m seawall.sandbox...`; on two cores none may pay for importing the supervisor.
    if name not in _HOMES:
        raise AttributeError(name)
    import importlib  # noqa: PLC0415

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
