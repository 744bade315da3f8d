"""Automatic rotation is for symmetric keys, has a period, and is not switched on for a key that is
off.

AWS, `EnableKeyRotation`: "You cannot enable automatic rotation of asymmetric KMS keys, HMAC KMS
keys, ..."; the period is 90 to 2560 days, 365 by default, and a disabled key is refused
(https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKeyRotation.html);
`GetKeyRotationStatus` tells the period while rotation is on. moto rotates any key, in any state,
and forgets the period. No time passes here: nothing ever rotates.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.models import Key
from moto.kms.responses import KmsResponse

from localaws.emulator.shims.key_state import refuse_unless_enabled

_PERIOD_DAYS = 365
"""What KMS takes when none is given."""


def install() -> None:
    """Replace the three operations on rotation."""
    response: Any = KmsResponse
    enable, disable = response.enable_key_rotation, response.disable_key_rotation
    response.enable_key_rotation = _of_enabled(_remembering_the_period(enable))
    response.disable_key_rotation = _of_enabled(disable)
    response.get_key_rotation_status = _status


def _rotatable(self: Any) -> Key:
    given = self._get_param("KeyId")
    self._validate_cmk_id(given)
    key: Key = self.kms_backend.describe_key(given)
    if key.key_spec != "SYMMETRIC_DEFAULT":
        raise JsonRESTError(
            "UnsupportedOperationException", f"{key.arn} is not a symmetric encryption key."
        )
    return key


def _of_enabled(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        refuse_unless_enabled(_rotatable(self))
        return operation(self)

    return answer


def _remembering_the_period(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        key: Any = _rotatable(self)
        key.rotation_period_days = self._get_param("RotationPeriodInDays") or _PERIOD_DAYS
        return operation(self)

    return answer


def _status(self: Any) -> str:
    key: Any = _rotatable(self)
    period = {"RotationPeriodInDays": key.rotation_period_days} if key.key_rotation_status else {}
    return json.dumps({"KeyId": key.id, "KeyRotationEnabled": key.key_rotation_status, **period})
