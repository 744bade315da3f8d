"""CloudWatch Logs: the KMS key of a log group can be changed and removed.

API reference: AssociateKmsKey, DisassociateKmsKey. moto has neither. Nothing is encrypted here.
"""

from __future__ import annotations

from typing import Any

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.responses import LogsResponse


def install() -> None:
    """Add the two operations."""
    response: Any = LogsResponse
    response.associate_kms_key = _associate
    response.disassociate_kms_key = _disassociate


def _group(response: Any) -> Any:
    # moto has no other
    group = response.logs_backend.groups.get(response._get_param("logGroupName"))  # noqa: SLF001
    if group is None:
        raise ResourceNotFoundException
    return group


def _associate(self: Any) -> str:
    _group(self).kms_key_id = self._get_param("kmsKeyId")
    return ""


def _disassociate(self: Any) -> str:
    _group(self).kms_key_id = None
    return ""
