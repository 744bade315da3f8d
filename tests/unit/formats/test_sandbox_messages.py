"""An error crosses from the sandbox to the kit with its class, its exit code and its words."""

from __future__ import annotations

import pytest

from seawall.errors import (
    ComponentDiedError,
    DiskFullError,
    DocumentError,
    PolicyError,
    Problem,
    SeawallError,
    ServiceError,
    UsageError,
)
from seawall.formats.sandbox_messages import SandboxMessage, error_message, error_of


@pytest.mark.parametrize(
    "error",
    [
        UsageError("a sandbox is running already", remedy="remove it"),
        DiskFullError("no space left on the disk"),
        ServiceError("postgres ended"),
        ComponentDiedError("moto", log_tail="Traceback"),
        PolicyError("p.yaml", [Problem(path="a", found="1", remedy="write 2")]),
        DocumentError("d.json", [Problem(path="a", found="1", remedy="write 2")]),
    ],
)
def test_an_error_arrives_as_it_was(error: SeawallError) -> None:
    line = error_message(error).model_dump_json(exclude_defaults=True)
    arrived = error_of(SandboxMessage.model_validate_json(line))
    assert str(arrived) == str(error)
    assert arrived.exit_code == error.exit_code
    if not isinstance(error, PolicyError | DocumentError):
        assert type(arrived) is type(error)


@pytest.mark.parametrize("name", ["ExitCode", "annotations", "NoSuchError", ""])
def test_a_class_that_is_no_error_of_ours_becomes_a_service_error(name: str) -> None:
    arrived = error_of(SandboxMessage(kind="error", text="what", error_type=name))
    assert type(arrived) is ServiceError
