"""``DryRun`` asks whether a call would succeed, and does nothing.

AWS: an allowed call with valid parameters fails with DryRunOperationException, HTTP 412, a call
that would fail does so as ever
(https://docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html and the errors of
https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html). moto has the argument nowhere,
and acts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from moto.core.exceptions import JsonRESTError
from moto.core.utils import camelcase_to_underscores
from moto.kms.responses import KmsResponse

from localaws.emulator.shims.key_state import refuse_unless_enabled

_COMPUTING = (
    "Sign",
    "Verify",
    "GenerateMac",
    "VerifyMac",
    "Encrypt",
    "Decrypt",
    "ReEncrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
)
"""These change nothing.

They are run, so that their parameters are checked, and their result is thrown away.
"""
_CHANGING = ("CreateGrant", "RetireGrant", "RevokeGrant")


class _WouldSucceedError(JsonRESTError):
    code = 412

    def __init__(self) -> None:
        super().__init__(
            "DryRunOperationException",
            "The request would have succeeded, but the DryRun option is set.",
        )


def install() -> None:
    """Make every operation with a ``DryRun`` that moto has honour it.

    After the shims that check keys and messages.
    """
    response: Any = KmsResponse
    for operations, runs in ((_COMPUTING, True), (_CHANGING, False)):
        for operation in operations:
            name = camelcase_to_underscores(operation)
            setattr(response, name, _honouring(getattr(response, name), runs=runs))


def _honouring(operation: Callable[[Any], str], *, runs: bool) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        if not self._get_param("DryRun"):
            return operation(self)
        if runs:
            operation(self)
        else:
            _check_key(self)
        raise _WouldSucceedError

    return answer


def _check_key(self: Any) -> None:
    given = self._get_param("KeyId")
    if given is not None:
        self._validate_key_id(given)
        refuse_unless_enabled(cast("Any", self.kms_backend).describe_key(given))
