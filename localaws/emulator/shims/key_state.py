"""A key signs, verifies and shows its public key only while it is enabled.

AWS, "Key states of KMS keys": these operations fail with DisabledException on a disabled key and
with KMSInvalidStateException on one that is pending deletion
(https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html). moto signs with either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.models import Key
from moto.kms.responses import KmsResponse


def install() -> None:
    """Refuse uses of a key that is not enabled."""
    response: Any = KmsResponse
    for operation in ("sign", "verify", "get_public_key"):
        setattr(response, operation, _only_enabled(getattr(response, operation)))


def refuse_unless_enabled(key: Key) -> None:
    """Raise what KMS answers when ``key`` may not be used in its present state."""
    if key.key_state == "Disabled":
        code, message = "DisabledException", f"{key.arn} is disabled."
    elif key.key_state != "Enabled":
        state = {"PendingDeletion": "pending deletion"}.get(key.key_state, key.key_state)
        code, message = "KMSInvalidStateException", f"{key.arn} is {state}."
    else:
        return
    raise JsonRESTError(code, message)


def _only_enabled(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        key_id = self._get_param("KeyId")
        self._validate_key_id(key_id)
        refuse_unless_enabled(self.kms_backend.describe_key(key_id))
        return operation(self)

    return answer
