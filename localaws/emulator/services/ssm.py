"""Parameter Store: a value must match its pattern, and a tier does not go down.

AWS, `PutParameter`
(https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html):
`ParameterPatternMismatchException` "The parameter name or value isn't valid" under
``AllowedPattern``; an advanced parameter cannot be "reverted" to a standard one. moto keeps both
settings and checks neither.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.ssm.exceptions import ValidationException
from moto.ssm.models import SimpleSystemManagerBackend


def install() -> None:
    """Check before anything is stored."""
    backend: Any = SimpleSystemManagerBackend
    backend.put_parameter = _checking(backend.put_parameter)


def _checking(original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    def put(self: Any, *arguments: Any, **more: Any) -> Any:
        given = signature.bind(self, *arguments, **more).arguments
        known = self._parameters.get(given["name"]) or []
        pattern = given["allowed_pattern"]
        if pattern is None and known:
            pattern = known[-1].allowed_pattern
        if pattern and re.search(pattern, given["value"]) is None:
            raise JsonRESTError(
                "ParameterPatternMismatchException",
                f"Parameter value, cannot be validated against allowedPattern: {pattern}",
            )
        if known and known[-1].tier == "Advanced" and given["tier"] == "Standard":
            raise ValidationException(
                "This parameter uses the advanced-parameter tier. You can't downgrade it "
                "to the standard-parameter tier."
            )
        return original(self, *arguments, **more)

    return put
